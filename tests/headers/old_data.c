/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Data of tasklets of the old form that is right on every ABI: numbers, and pointers that nothing cuts. */
#include <linux/interrupt.h>

struct ring {
    struct tasklet_struct clean;
    struct tasklet_struct fill;
    int number;
};

static void clean(unsigned long data)
{
    (void)data;
}

static void fill(uintptr_t data)
{
    ((struct ring *)data)->number++;
}

static DECLARE_TASKLET_OLD(numbered, clean);
static DECLARE_TASKLET_DISABLED_OLD(pointed, fill);

uintptr_t use_data(struct ring *ring, unsigned char small);
uintptr_t use_data(struct ring *ring, unsigned char small)
{
    tasklet_init(&ring->clean, clean, 0);
    tasklet_init(&ring->clean, clean, -1);
    tasklet_init(&ring->clean, clean, ring->number);
    tasklet_init(&ring->clean, clean, small);
    tasklet_init(&ring->clean, clean, (unsigned int)ring->number);
    tasklet_init(&ring->fill, fill, (uintptr_t)ring);
    tasklet_init(&ring->fill, &fill, 0);
    numbered.data = 0;
    numbered.data = ring->number;
    pointed.data = (uintptr_t)ring;
    return pointed.data;
}
