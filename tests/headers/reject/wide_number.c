/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A number of 64 bits, for a function that takes less.
 *
 * windows both: the function takes an unsigned long, which has 32 bits on Windows, and data has 64
 */
#include <linux/interrupt.h>

static void clean(unsigned long data)
{
    (void)data;
}

void make(struct tasklet_struct *t, unsigned long long data);
void make(struct tasklet_struct *t, unsigned long long data)
{
    tasklet_init(t, clean, data);
}
