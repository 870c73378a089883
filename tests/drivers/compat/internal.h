/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the parts of the environment have of each other. NT's names are used in the sources alone. */
#ifndef COMPAT_INTERNAL_H
#define COMPAT_INTERNAL_H

#include <ntddk.h>

#include <linux/sched.h>
#include <linux/types.h>

/* The highest IRQL of a device, at which all of their interrupts are off. */
#define COMPAT_DEVICES_IRQL 12
/* CPUs that the environment has room for. */
#define COMPAT_CPUS 64
#define COMPAT_100NS_PER_MS 10000LL

/* Raises to an IRQL unless the CPU is there or above; returns the one before. */
static inline KIRQL compat_raise(KIRQL irql)
{
    KIRQL now = KeGetCurrentIrql();

    return now < irql ? KfRaiseIrql(irql) : now;
}

/* Takes a compat_raise() back. */
static inline void compat_lower(KIRQL irql)
{
    if (irql < KeGetCurrentIrql())
        KeLowerIrql(irql);
}

/*
 * Waking in two steps, because an event cannot be set above DISPATCH_LEVEL: the first is for any context,
 * also under a lock; the second, after it, sets the events at once or in a DPC of this CPU.
 */
void compat_wake_later(struct task_struct *task);
void compat_wake_flush(void);

void compat_tasks_init(void);
void compat_tasks_exit(void);
void compat_slab_init(void);
unsigned int compat_slab_exit(void);
int compat_timers_init(void);
void compat_timers_exit(void);

/* Calls a function in a hard interrupt of a CPU. Any context; does not wait. */
void compat_interrupt(unsigned int cpu, void (*function)(void *context), void *context);

#endif
