/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A callback for tasklet_init().
 *
 * host c: incompatible (function )?pointer type
 * windows c: any (generic )?association
 * all c++: invalid conversion|no matching function
 */
#include <linux/interrupt.h>

static void clean(struct tasklet_struct *t)
{
    (void)t;
}

void make(struct tasklet_struct *t);
void make(struct tasklet_struct *t)
{
    tasklet_init(t, clean, 0);
}
