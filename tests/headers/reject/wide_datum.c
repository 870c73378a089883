/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A pointer that is not cut, for a function that takes less.
 *
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
    tasklet_init(t, clean, (uintptr_t)t);
}
