// SPDX-License-Identifier: MIT OR Apache-2.0
/* Spin locks, interrupts off and on, and staying on a CPU. */
#include <linux/irqflags.h>
#include <linux/smp.h>
#include <linux/spinlock.h>

#include "internal.h"

_Static_assert(sizeof(KSPIN_LOCK) == sizeof(((spinlock_t *)0)->word), "a KSPIN_LOCK fits");

/* What local_irq_disable() and get_cpu() have raised from; used by its CPU alone, at a raised IRQL. */
static KIRQL irqs_from[COMPAT_CPUS];
static KIRQL cpu_from[COMPAT_CPUS];
static unsigned int cpu_depth[COMPAT_CPUS];

void spin_lock(spinlock_t *lock)
{
    KIRQL irql = compat_raise(DISPATCH_LEVEL);

    KeAcquireSpinLockAtDpcLevel((PKSPIN_LOCK)&lock->word);
    lock->irql = irql;
}

void spin_unlock(spinlock_t *lock)
{
    KIRQL irql = lock->irql;

    KeReleaseSpinLockFromDpcLevel((PKSPIN_LOCK)&lock->word);
    compat_lower(irql);
}

int spin_is_locked(spinlock_t *lock)
{
    return __atomic_load_n(&lock->word, __ATOMIC_RELAXED) != 0;
}

unsigned long compat_local_irq_save(void)
{
    return compat_raise(COMPAT_DEVICES_IRQL);
}

void local_irq_restore(unsigned long flags)
{
    compat_lower((KIRQL)flags);
}

void local_irq_disable(void)
{
    KIRQL irql = compat_raise(COMPAT_DEVICES_IRQL);

    if (irql < COMPAT_DEVICES_IRQL)
        irqs_from[raw_smp_processor_id()] = irql;
}

void local_irq_enable(void)
{
    compat_lower(irqs_from[raw_smp_processor_id()]);
}

void spin_lock_irq(spinlock_t *lock)
{
    local_irq_disable();
    spin_lock(lock);
}

void spin_unlock_irq(spinlock_t *lock)
{
    spin_unlock(lock);
    local_irq_enable();
}

unsigned long compat_spin_lock_irqsave(spinlock_t *lock)
{
    unsigned long flags = compat_local_irq_save();

    spin_lock(lock);
    return flags;
}

void spin_unlock_irqrestore(spinlock_t *lock, unsigned long flags)
{
    spin_unlock(lock);
    local_irq_restore(flags);
}

unsigned int get_cpu(void)
{
    KIRQL irql = compat_raise(DISPATCH_LEVEL);
    unsigned int cpu = raw_smp_processor_id();

    if (cpu_depth[cpu]++ == 0)
        cpu_from[cpu] = irql;
    return cpu;
}

void put_cpu(void)
{
    unsigned int cpu = raw_smp_processor_id();
    KIRQL irql = cpu_from[cpu];

    if (--cpu_depth[cpu] == 0)
        compat_lower(irql);
}
