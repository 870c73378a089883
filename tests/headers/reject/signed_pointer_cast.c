/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A pointer cast to `long`, which has 32 bits too, for a function that has room for it.
 *
 * flags c: -Wno-pointer-to-int-cast
 * windows both: use tasklet_setup\(\) and from_tasklet\(\), or pass \(uintptr_t\)pointer
 */
#include <linux/interrupt.h>

static void clean(uintptr_t data)
{
    (void)data;
}

void make(struct tasklet_struct *t);
void make(struct tasklet_struct *t)
{
    tasklet_init(t, clean, (long)t);
}
