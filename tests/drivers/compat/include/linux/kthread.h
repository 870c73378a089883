/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Threads of a driver. A thread that has ended stays known until the environment ends. */
#ifndef COMPAT_LINUX_KTHREAD_H
#define COMPAT_LINUX_KTHREAD_H

#include <linux/err.h>
#include <linux/sched.h>
#include <linux/types.h>

/* Process context. The thread sleeps until wake_up_process(); ERR_PTR(-ENOMEM) when there is none. */
struct task_struct *kthread_create(int (*function)(void *data), void *data, const char *fmt, ...)
    __printf(3, 4);
/* Before the thread is woken for the first time. */
void kthread_bind(struct task_struct *task, unsigned int cpu);
bool kthread_should_stop(void);
/* Process context. Returns what the function returned, or -EINTR when it was never woken. */
int kthread_stop(struct task_struct *task);

#define kthread_run(function, data, ...) compat_kthread_wake(kthread_create(function, data, __VA_ARGS__))
#define kthread_create_on_node(function, data, node, ...) kthread_create(function, data, __VA_ARGS__)

static inline struct task_struct *compat_kthread_wake(struct task_struct *task)
{
    if (!IS_ERR(task))
        wake_up_process(task);
    return task;
}

static inline struct task_struct *get_task_struct(struct task_struct *task)
{
    return task;
}

static inline void put_task_struct(struct task_struct *task)
{
    (void)task;
}

#endif
