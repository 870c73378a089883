/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A function of the old form for tasklet_setup().
 *
 * all c: incompatible (function )?pointer type
 * all c++: invalid conversion|no matching function
 */
#include <linux/interrupt.h>

static void clean(unsigned long data)
{
    (void)data;
}

void make(struct tasklet_struct *t);
void make(struct tasklet_struct *t)
{
    tasklet_setup(t, clean);
}
