// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Wait queues, and what is built on them: completions and mutexes. A waiter that is woken is off its queue,
 * and queues again if it has to wait on; so two wakes of one waiter never stand for two waiters.
 */
#include <linux/bug.h>
#include <linux/completion.h>
#include <linux/mutex.h>
#include <linux/wait.h>

#include "internal.h"

/* `done` of a completion that is done for everybody. */
#define DONE_FOR_ALL (~0u)

/* Takes up to `count` waiters off the queue, whose lock is held. */
static void take_waiters(struct wait_queue_head *wq, unsigned int count)
{
    while (count-- && !list_empty(&wq->head)) {
        struct wait_queue_entry *entry = list_first_entry(&wq->head, struct wait_queue_entry, entry);

        list_del_init(&entry->entry);
        compat_wake_later(entry->task);
    }
}

static void wake_up_some(struct wait_queue_head *wq, unsigned int count)
{
    unsigned long flags;

    spin_lock_irqsave(&wq->lock, flags);
    take_waiters(wq, count);
    spin_unlock_irqrestore(&wq->lock, flags);
    compat_wake_flush();
}

void wake_up_all(struct wait_queue_head *wq)
{
    wake_up_some(wq, ~0u);
}

void compat_wake_up_one(struct wait_queue_head *wq)
{
    wake_up_some(wq, 1);
}

int waitqueue_active(struct wait_queue_head *wq)
{
    return !list_empty(&wq->head);
}

void prepare_to_wait(struct wait_queue_head *wq, struct wait_queue_entry *entry, int state)
{
    unsigned long flags;

    /* Before the entry is on the queue: a wake from then on is not cleared again. */
    compat_set_state((unsigned int)state);
    spin_lock_irqsave(&wq->lock, flags);
    if (list_empty(&entry->entry))
        list_add_tail(&entry->entry, &wq->head);
    spin_unlock_irqrestore(&wq->lock, flags);
}

void finish_wait(struct wait_queue_head *wq, struct wait_queue_entry *entry)
{
    unsigned long flags;

    compat_set_state(TASK_RUNNING);
    spin_lock_irqsave(&wq->lock, flags);
    list_del_init(&entry->entry);
    spin_unlock_irqrestore(&wq->lock, flags);
}

void complete(struct completion *x)
{
    unsigned long flags;

    spin_lock_irqsave(&x->wait.lock, flags);
    if (x->done != DONE_FOR_ALL)
        x->done++;
    take_waiters(&x->wait, 1);
    spin_unlock_irqrestore(&x->wait.lock, flags);
    compat_wake_flush();
}

void complete_all(struct completion *x)
{
    unsigned long flags;

    spin_lock_irqsave(&x->wait.lock, flags);
    x->done = DONE_FOR_ALL;
    take_waiters(&x->wait, ~0u);
    spin_unlock_irqrestore(&x->wait.lock, flags);
    compat_wake_flush();
}

bool try_wait_for_completion(struct completion *x)
{
    unsigned long flags;
    bool done;

    /* Always with the lock: when this returns, who has completed it does not touch it any more. */
    spin_lock_irqsave(&x->wait.lock, flags);
    done = x->done != 0;
    if (done && x->done != DONE_FOR_ALL)
        x->done--;
    spin_unlock_irqrestore(&x->wait.lock, flags);
    return done;
}

bool completion_done(struct completion *x)
{
    unsigned long flags;
    bool done;

    spin_lock_irqsave(&x->wait.lock, flags);
    done = x->done != 0;
    spin_unlock_irqrestore(&x->wait.lock, flags);
    return done;
}

static long wait_for_done(struct completion *x, long timeout)
{
    DEFINE_WAIT(entry);

    for (;;) {
        prepare_to_wait(&x->wait, &entry, TASK_UNINTERRUPTIBLE);
        /* Off the queue before the completion is taken, for it may be gone as soon as it is. */
        if (READ_ONCE(x->done)) {
            finish_wait(&x->wait, &entry);
            if (try_wait_for_completion(x))
                return timeout ? timeout : 1;
            continue;
        }
        if (!timeout)
            break;
        timeout = schedule_timeout(timeout);
    }
    finish_wait(&x->wait, &entry);
    return 0;
}

void wait_for_completion(struct completion *x)
{
    wait_for_done(x, MAX_SCHEDULE_TIMEOUT);
}

unsigned long wait_for_completion_timeout(struct completion *x, unsigned long timeout)
{
    return (unsigned long)wait_for_done(x, (long)timeout);
}

int wait_for_completion_interruptible(struct completion *x)
{
    wait_for_done(x, MAX_SCHEDULE_TIMEOUT);
    return 0;
}

long wait_for_completion_interruptible_timeout(struct completion *x, unsigned long timeout)
{
    return wait_for_done(x, (long)timeout);
}

int wait_for_completion_killable(struct completion *x)
{
    return wait_for_completion_interruptible(x);
}

int mutex_trylock(struct mutex *lock)
{
    struct task_struct *free = NULL;

    return __atomic_compare_exchange_n(&lock->owner, &free, get_current(), 0, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

void mutex_lock(struct mutex *lock)
{
    might_sleep();
    BUG_ON(READ_ONCE(lock->owner) == get_current());
    wait_event(lock->wait, mutex_trylock(lock));
}

int mutex_lock_interruptible(struct mutex *lock)
{
    mutex_lock(lock);
    return 0;
}

void mutex_unlock(struct mutex *lock)
{
    unsigned long flags;

    BUG_ON(READ_ONCE(lock->owner) != get_current());
    /* Both under the lock: the next owner, who may free the mutex, comes in by the same lock. */
    spin_lock_irqsave(&lock->wait.lock, flags);
    __atomic_store_n(&lock->owner, NULL, __ATOMIC_SEQ_CST);
    take_waiters(&lock->wait, 1);
    spin_unlock_irqrestore(&lock->wait.lock, flags);
    compat_wake_flush();
}

bool mutex_is_locked(struct mutex *lock)
{
    return READ_ONCE(lock->owner) != NULL;
}
