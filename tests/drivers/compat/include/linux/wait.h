/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Wait queues: threads that sleep until somebody says that a condition may hold. */
#ifndef COMPAT_LINUX_WAIT_H
#define COMPAT_LINUX_WAIT_H

#include <linux/list.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct wait_queue_head {
    spinlock_t lock;
    struct list_head head;
};

typedef struct wait_queue_head wait_queue_head_t;

struct wait_queue_entry {
    struct list_head entry;
    struct task_struct *task;
};

typedef struct wait_queue_entry wait_queue_entry_t;

#define __WAIT_QUEUE_HEAD_INITIALIZER(name)                                                                  \
    {                                                                                                        \
        __SPIN_LOCK_UNLOCKED((name).lock), {&(name).head, &(name).head}                                      \
    }
#define DECLARE_WAIT_QUEUE_HEAD(name) struct wait_queue_head name = __WAIT_QUEUE_HEAD_INITIALIZER(name)
#define DECLARE_WAIT_QUEUE_HEAD_ONSTACK(name) DECLARE_WAIT_QUEUE_HEAD(name)
#define DEFINE_WAIT(name) struct wait_queue_entry name = {LIST_HEAD_INIT((name).entry), get_current()}

static inline void init_waitqueue_head(struct wait_queue_head *wq)
{
    spin_lock_init(&wq->lock);
    INIT_LIST_HEAD(&wq->head);
}

/* Any context: wakes the first waiter, or all. There are no exclusive waiters besides those of a mutex. */
void wake_up_all(struct wait_queue_head *wq);
void compat_wake_up_one(struct wait_queue_head *wq);
int waitqueue_active(struct wait_queue_head *wq);

#define wake_up(wq) wake_up_all(wq)
#define wake_up_interruptible(wq) wake_up_all(wq)
#define wake_up_interruptible_all(wq) wake_up_all(wq)

void prepare_to_wait(struct wait_queue_head *wq, struct wait_queue_entry *entry, int state);
void finish_wait(struct wait_queue_head *wq, struct wait_queue_entry *entry);

/* The jiffies that are left when the condition holds, at least 1; 0 when it does not and the time is over. */
#define compat_wait_event(wq, condition, state, timeout)                                                     \
    ({                                                                                                       \
        long compat_left = (timeout);                                                                        \
        DEFINE_WAIT(compat_entry);                                                                           \
        for (;;) {                                                                                           \
            prepare_to_wait(&(wq), &compat_entry, state);                                                    \
            if (condition) {                                                                                 \
                compat_left = compat_left ? compat_left : 1;                                                 \
                break;                                                                                       \
            }                                                                                                \
            if (!compat_left)                                                                                \
                break;                                                                                       \
            compat_left = schedule_timeout(compat_left);                                                     \
        }                                                                                                    \
        finish_wait(&(wq), &compat_entry);                                                                   \
        compat_left;                                                                                         \
    })

static inline int compat_not_interrupted(long left)
{
    (void)left;
    return 0;
}

#define wait_event(wq, condition)                                                                            \
    ((void)compat_wait_event(wq, condition, TASK_UNINTERRUPTIBLE, MAX_SCHEDULE_TIMEOUT))
#define wait_event_timeout(wq, condition, timeout)                                                           \
    compat_wait_event(wq, condition, TASK_UNINTERRUPTIBLE, (long)(timeout))
/* No signal comes to a system thread. */
#define wait_event_interruptible(wq, condition)                                                              \
    compat_not_interrupted(compat_wait_event(wq, condition, TASK_INTERRUPTIBLE, MAX_SCHEDULE_TIMEOUT))
#define wait_event_interruptible_timeout(wq, condition, timeout)                                             \
    compat_wait_event(wq, condition, TASK_INTERRUPTIBLE, (long)(timeout))
#define wait_event_killable(wq, condition) wait_event_interruptible(wq, condition)

#endif
