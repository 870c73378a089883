/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* CPUs do not go away while a driver looks at them. */
#ifndef COMPAT_LINUX_CPU_H
#define COMPAT_LINUX_CPU_H

#include <linux/cpumask.h>

static inline void cpus_read_lock(void)
{
}

static inline void cpus_read_unlock(void)
{
}

#endif
