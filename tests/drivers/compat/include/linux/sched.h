/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Threads: who runs, sleeping and waking. */
#ifndef COMPAT_LINUX_SCHED_H
#define COMPAT_LINUX_SCHED_H

#include <linux/compiler.h>
#include <linux/jiffies.h>
#include <linux/types.h>

#define TASK_RUNNING 0
#define TASK_INTERRUPTIBLE 1
#define TASK_UNINTERRUPTIBLE 2
#define TASK_COMM_LEN 16
#define MAX_SCHEDULE_TIMEOUT ((long)((~0UL) >> 1))

/* A thread. Every thread of the machine has one, from the first time that it asks who it is. */
struct task_struct {
    unsigned int __state;
    pid_t pid;
    char comm[TASK_COMM_LEN];
    /* The rest is the environment's: the NT thread, the event that it sleeps on, and a kthread's own. */
    void *compat_thread;
    uint64_t compat_event[3];
    struct task_struct *compat_next;
    unsigned int compat_is_waking;
    unsigned int compat_is_over;
    unsigned int compat_should_stop;
    int compat_cpu;
    int compat_result;
    int (*compat_function)(void *data);
    void *compat_data;
    void *compat_object;
};

struct task_struct *get_current(void);
#define current get_current()

void compat_set_state(unsigned int state);
#define set_current_state(state) compat_set_state(state)
#define __set_current_state(state) compat_set_state(state)

/* Sleeps until somebody wakes the thread, if its state says that it sleeps. */
void schedule(void);
/* The same for so many jiffies at most; returns what is left of them. */
long schedule_timeout(long timeout);
long schedule_timeout_interruptible(long timeout);
long schedule_timeout_uninterruptible(long timeout);
/* Any context. Whether the thread slept. */
int wake_up_process(struct task_struct *task);

int cond_resched(void);
void yield(void);
void might_sleep(void);
#define might_sleep_if(condition)                                                                            \
    do {                                                                                                     \
        if (condition)                                                                                       \
            might_sleep();                                                                                   \
    } while (0)

static inline int signal_pending(struct task_struct *task)
{
    (void)task;
    return 0;
}

static inline pid_t task_pid_nr(struct task_struct *task)
{
    return task->pid;
}

struct cpumask;
/* The calling thread only. */
int set_cpus_allowed_ptr(struct task_struct *task, const struct cpumask *mask);
void sched_set_fifo(struct task_struct *task);

#endif
