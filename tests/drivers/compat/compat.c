// SPDX-License-Identifier: MIT OR Apache-2.0
/* The begin and the end of the environment. */
#include <compat.h>

#include <linux/errno.h>

#include "internal.h"

int compat_init(void)
{
    compat_tasks_init();
    compat_slab_init();
    return compat_timers_init();
}

unsigned int compat_exit(void)
{
    compat_timers_exit();
    compat_tasks_exit();
    KeFlushQueuedDpcs();
    return compat_slab_exit();
}
