/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Spin locks. A plain one and the _bh form raise to DISPATCH_LEVEL, the _irq forms to the highest IRQL of a
 * device. They nest like brackets: the lock that is taken last is released first.
 */
#ifndef COMPAT_LINUX_SPINLOCK_H
#define COMPAT_LINUX_SPINLOCK_H

#include <linux/bottom_half.h>
#include <linux/compiler.h>
#include <linux/irqflags.h>
#include <linux/preempt.h>
#include <linux/types.h>

struct compat_spinlock {
    /* A KSPIN_LOCK. */
    uintptr_t word;
    /* The IRQL before the lock was taken; the holder's. */
    unsigned char irql;
};

typedef struct compat_spinlock spinlock_t;
typedef struct compat_spinlock raw_spinlock_t;

#define __SPIN_LOCK_UNLOCKED(name)                                                                           \
    {                                                                                                        \
        0, 0                                                                                                 \
    }
#define DEFINE_SPINLOCK(name) spinlock_t name = __SPIN_LOCK_UNLOCKED(name)
#define DEFINE_RAW_SPINLOCK(name) raw_spinlock_t name = __SPIN_LOCK_UNLOCKED(name)

static inline void spin_lock_init(spinlock_t *lock)
{
    lock->word = 0;
    lock->irql = 0;
}

void spin_lock(spinlock_t *lock);
void spin_unlock(spinlock_t *lock);
int spin_is_locked(spinlock_t *lock);
void spin_lock_irq(spinlock_t *lock);
void spin_unlock_irq(spinlock_t *lock);
unsigned long compat_spin_lock_irqsave(spinlock_t *lock);
void spin_unlock_irqrestore(spinlock_t *lock, unsigned long flags);

#define spin_lock_irqsave(lock, flags)                                                                       \
    do {                                                                                                     \
        (flags) = compat_spin_lock_irqsave(lock);                                                            \
    } while (0)

static inline void spin_lock_bh(spinlock_t *lock)
{
    spin_lock(lock);
}

static inline void spin_unlock_bh(spinlock_t *lock)
{
    spin_unlock(lock);
}

#define raw_spin_lock_init(lock) spin_lock_init(lock)
#define raw_spin_lock(lock) spin_lock(lock)
#define raw_spin_unlock(lock) spin_unlock(lock)
#define raw_spin_lock_irqsave(lock, flags) spin_lock_irqsave(lock, flags)
#define raw_spin_unlock_irqrestore(lock, flags) spin_unlock_irqrestore(lock, flags)
#define assert_spin_locked(lock) ((void)(lock))
#define lockdep_assert_held(lock) ((void)(lock))

#endif
