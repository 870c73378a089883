/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A build that leaves cut pointers to the options of the compiler: tasklet_init() takes none all the same.
 *
 * flags c: -Wno-pointer-to-int-cast
 * windows both: use tasklet_setup\(\) and from_tasklet\(\), or pass \(uintptr_t\)pointer
 */
#define BOTTOMHALF_ALLOW_POINTER_CUTS
#include <linux/interrupt.h>

static void clean(unsigned long data)
{
    (void)data;
}

void make(struct tasklet_struct *t);
void make(struct tasklet_struct *t)
{
    tasklet_init(t, clean, (unsigned long)t);
}
