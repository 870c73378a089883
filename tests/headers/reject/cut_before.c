/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * An `unsigned long` that somebody else has filled: it may be what is left of a pointer.
 *
 * windows both: use tasklet_setup\(\) and from_tasklet\(\), or pass \(uintptr_t\)pointer
 */
#include <linux/interrupt.h>

static void clean(unsigned long data)
{
    (void)data;
}

void make(struct tasklet_struct *t, unsigned long data);
void make(struct tasklet_struct *t, unsigned long data)
{
    tasklet_init(t, clean, data);
}
