/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A pointer as the data of a tasklet, without a cast.
 *
 * host c: makes integer from pointer|pointer to integer conversion
 * host c++: invalid conversion|no matching function
 * windows both: the function takes an unsigned long, which has 32 bits on Windows, and data has 64
 */
#include <linux/interrupt.h>

static void clean(unsigned long data)
{
    (void)data;
}

void make(struct tasklet_struct *t);
void make(struct tasklet_struct *t)
{
    tasklet_init(t, clean, t);
}
