/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A pointer cast to `unsigned long`, as drivers assign it to the data of a DECLARE_TASKLET_OLD.
 *
 * flags c: -Wno-pointer-to-int-cast -Wno-deprecated-declarations
 * windows both: cast (to smaller integer|from pointer to integer of different size|from .* loses precision)
 * windows both: use tasklet_setup\(\) and from_tasklet\(\), or set data to \(uintptr_t\)pointer
 */
#include <linux/interrupt.h>

static void clean(unsigned long data)
{
    (void)data;
}

DECLARE_TASKLET_OLD(tasklet, clean);

void make(struct list_head *list);
void make(struct list_head *list)
{
    tasklet.data = (unsigned long)list;
}
