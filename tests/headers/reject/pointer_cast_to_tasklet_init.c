/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A pointer cast to `unsigned long`, as most drivers of Linux pass it to tasklet_init(). It is right on a
 * host, and on Windows it is told what to do instead, also where warnings of such casts are off.
 *
 * flags c: -Wno-pointer-to-int-cast
 * windows both: use tasklet_setup\(\) and from_tasklet\(\), or pass \(uintptr_t\)pointer
 */
#include <linux/interrupt.h>

struct ring {
    struct tasklet_struct clean;
};

static void clean(unsigned long data)
{
    (void)data;
}

void make(struct ring *ring);
void make(struct ring *ring)
{
    tasklet_init(&ring->clean, clean, (unsigned long)ring);
}
