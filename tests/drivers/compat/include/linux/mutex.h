/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sleeping locks. */
#ifndef COMPAT_LINUX_MUTEX_H
#define COMPAT_LINUX_MUTEX_H

#include <linux/types.h>
#include <linux/wait.h>

struct mutex {
    struct wait_queue_head wait;
    struct task_struct *owner;
};

#define __MUTEX_INITIALIZER(name)                                                                            \
    {                                                                                                        \
        __WAIT_QUEUE_HEAD_INITIALIZER((name).wait), NULL                                                     \
    }
#define DEFINE_MUTEX(name) struct mutex name = __MUTEX_INITIALIZER(name)

static inline void mutex_init(struct mutex *lock)
{
    init_waitqueue_head(&lock->wait);
    lock->owner = NULL;
}

static inline void mutex_destroy(struct mutex *lock)
{
    (void)lock;
}

void mutex_lock(struct mutex *lock);
/* No signal comes to a system thread: always 0. */
int __must_check mutex_lock_interruptible(struct mutex *lock);
int mutex_trylock(struct mutex *lock);
void mutex_unlock(struct mutex *lock);
bool mutex_is_locked(struct mutex *lock);

#define mutex_lock_nested(lock, subclass) mutex_lock(lock)

#endif
