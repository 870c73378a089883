/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Completions: a count of events that threads wait for. */
#ifndef COMPAT_LINUX_COMPLETION_H
#define COMPAT_LINUX_COMPLETION_H

#include <linux/types.h>
#include <linux/wait.h>

struct completion {
    unsigned int done;
    struct wait_queue_head wait;
};

#define COMPLETION_INITIALIZER(work)                                                                         \
    {                                                                                                        \
        0, __WAIT_QUEUE_HEAD_INITIALIZER((work).wait)                                                        \
    }
#define COMPLETION_INITIALIZER_ONSTACK(work) COMPLETION_INITIALIZER(work)
#define DECLARE_COMPLETION(work) struct completion work = COMPLETION_INITIALIZER(work)
#define DECLARE_COMPLETION_ONSTACK(work) struct completion work = COMPLETION_INITIALIZER(work)

static inline void init_completion(struct completion *x)
{
    x->done = 0;
    init_waitqueue_head(&x->wait);
}

static inline void reinit_completion(struct completion *x)
{
    x->done = 0;
}

/* Any context. */
void complete(struct completion *x);
void complete_all(struct completion *x);
bool try_wait_for_completion(struct completion *x);
bool completion_done(struct completion *x);

/* Process context. The timeouts are in jiffies; 0 means that the time is over, else what is left of it. */
void wait_for_completion(struct completion *x);
unsigned long wait_for_completion_timeout(struct completion *x, unsigned long timeout);
/* No signal comes to a system thread. */
int wait_for_completion_interruptible(struct completion *x);
long wait_for_completion_interruptible_timeout(struct completion *x, unsigned long timeout);
int wait_for_completion_killable(struct completion *x);

#endif
