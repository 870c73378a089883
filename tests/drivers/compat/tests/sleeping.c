// SPDX-License-Identifier: MIT OR Apache-2.0
/* Tests of what threads sleep on: completions, wait queues, mutexes; and of threads. */
#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/mutex.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "compat_tests.h"

static struct completion done;
static atomic_t count;

const char *test_completion_times_out(void)
{
    unsigned long began = jiffies;
    unsigned long left;

    init_completion(&done);
    EXPECT(wait_for_completion_timeout(&done, 5) == 0);
    EXPECT(jiffies - began >= 5);
    EXPECT(!completion_done(&done) && !try_wait_for_completion(&done));
    complete(&done);
    EXPECT(completion_done(&done));
    left = wait_for_completion_timeout(&done, 5);
    EXPECT(left >= 1 && left <= 5);
    EXPECT(!completion_done(&done));
    complete(&done);
    EXPECT(wait_for_completion_timeout(&done, 0) >= 1);
    complete(&done);
    reinit_completion(&done);
    EXPECT(!try_wait_for_completion(&done));
    return NULL;
}

static int wait_and_count(void *unused)
{
    (void)unused;
    wait_for_completion(&done);
    atomic_inc(&count);
    return 0;
}

const char *test_completion_wakes_one_waiter_each(void)
{
    struct task_struct *tasks[3];
    int i;

    init_completion(&done);
    atomic_set(&count, 0);
    for (i = 0; i < 3; i++)
        tasks[i] = kthread_run(wait_and_count, NULL, "waiter/%d", i);
    msleep(20);
    EXPECT(atomic_read(&count) == 0);
    complete(&done);
    msleep(20);
    EXPECT(atomic_read(&count) == 1);
    /* Two at once, before either of the waiters has run. */
    complete(&done);
    complete(&done);
    for (i = 0; i < 3; i++)
        EXPECT(kthread_stop(tasks[i]) == 0);
    EXPECT(atomic_read(&count) == 3 && !completion_done(&done));
    return NULL;
}

const char *test_completion_of_all(void)
{
    struct task_struct *tasks[3];
    int i;

    init_completion(&done);
    atomic_set(&count, 0);
    for (i = 0; i < 3; i++)
        tasks[i] = kthread_run(wait_and_count, NULL, "waiter/%d", i);
    complete_all(&done);
    /* A thread that is stopped before it has begun does not begin. */
    while (atomic_read(&count) < 3)
        msleep(1);
    for (i = 0; i < 3; i++)
        EXPECT(kthread_stop(tasks[i]) == 0);
    /* It stays done, for any number. */
    wait_for_completion(&done);
    EXPECT(try_wait_for_completion(&done) && completion_done(&done));
    return NULL;
}

static enum hrtimer_restart complete_it(struct hrtimer *timer)
{
    (void)timer;
    complete(&done);
    return HRTIMER_NORESTART;
}

const char *test_completion_in_an_interrupt(void)
{
    static struct hrtimer timer;
    int i;

    for (i = 0; i < 5; i++) {
        init_completion(&done);
        hrtimer_init(&timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
        timer.function = complete_it;
        hrtimer_start(&timer, ns_to_ktime(50000), HRTIMER_MODE_REL_PINNED_HARD);
        EXPECT(wait_for_completion_timeout(&done, HZ) > 0);
        hrtimer_cancel(&timer);
    }
    return NULL;
}

static DECLARE_WAIT_QUEUE_HEAD(queue);
static int items;

static int produce(void *unused)
{
    int i;

    (void)unused;
    for (i = 0; i < 5; i++) {
        usleep_range(100, 200);
        WRITE_ONCE(items, items + 1);
        wake_up(&queue);
    }
    return 0;
}

const char *test_wait_event(void)
{
    struct task_struct *task;
    long left;

    init_waitqueue_head(&queue);
    items = 0;
    EXPECT(wait_event_timeout(queue, READ_ONCE(items) == 1, 3) == 0);
    EXPECT(!waitqueue_active(&queue));
    task = kthread_run(produce, NULL, "producer");
    wait_event(queue, READ_ONCE(items) >= 2);
    left = wait_event_interruptible_timeout(queue, READ_ONCE(items) >= 4, 10 * HZ);
    EXPECT(left >= 1 && left <= 10 * HZ);
    EXPECT(wait_event_interruptible(queue, READ_ONCE(items) == 5) == 0);
    EXPECT(wait_event_timeout(queue, true, 0) == 1);
    EXPECT(!waitqueue_active(&queue));
    EXPECT(kthread_stop(task) == 0);
    return NULL;
}

static DEFINE_MUTEX(lock);
static int guarded;

static int add_under_mutex(void *unused)
{
    int i, was;

    (void)unused;
    for (i = 0; i < 5; i++) {
        mutex_lock(&lock);
        was = READ_ONCE(guarded);
        usleep_range(10, 20);
        WRITE_ONCE(guarded, was + 1);
        mutex_unlock(&lock);
    }
    return 0;
}

const char *test_mutex(void)
{
    struct task_struct *tasks[4];
    int i;

    mutex_init(&lock);
    guarded = 0;
    EXPECT(mutex_trylock(&lock) && mutex_is_locked(&lock) && !mutex_trylock(&lock));
    for (i = 0; i < 4; i++)
        tasks[i] = kthread_run(add_under_mutex, NULL, "adder/%d", i);
    msleep(10);
    EXPECT(READ_ONCE(guarded) == 0);
    mutex_unlock(&lock);
    for (i = 0; i < 4; i++)
        EXPECT(kthread_stop(tasks[i]) == 0);
    EXPECT(guarded == 20 && !mutex_is_locked(&lock));
    mutex_destroy(&lock);
    return NULL;
}

static int tell_cpu(void *cpu)
{
    *(int *)cpu = (int)smp_processor_id();
    while (!kthread_should_stop()) {
        set_current_state(TASK_INTERRUPTIBLE);
        if (!kthread_should_stop())
            schedule();
        __set_current_state(TASK_RUNNING);
    }
    return 7;
}

const char *test_kthread(void)
{
    struct task_struct *task;
    int cpu = -1;

    task = kthread_create(tell_cpu, &cpu, "teller/%d", 3);
    EXPECT(!IS_ERR(task) && strcmp(task->comm, "teller/3") == 0);
    kthread_bind(task, 3);
    msleep(10);
    EXPECT(cpu == -1);
    wake_up_process(task);
    msleep(10);
    EXPECT(READ_ONCE(cpu) == 3);
    EXPECT(kthread_stop(task) == 7);
    /* A thread that was never woken does not call its function. */
    cpu = -1;
    task = kthread_create(tell_cpu, &cpu, "never");
    EXPECT(kthread_stop(task) == -EINTR && cpu == -1);
    return NULL;
}

static int wait_for_the_end(void *unused)
{
    (void)unused;
    wait_event_interruptible(queue, kthread_should_stop());
    return 1;
}

const char *test_kthread_stop_wakes(void)
{
    struct task_struct *task;

    init_waitqueue_head(&queue);
    task = kthread_run(wait_for_the_end, NULL, "sleeper");
    msleep(10);
    EXPECT(kthread_stop(task) == 1);
    return NULL;
}

static int tell_current(void *task)
{
    *(struct task_struct **)task = current;
    complete(&done);
    return current == *(struct task_struct **)task;
}

static void tell_current_of_work(struct work_struct *work)
{
    (void)work;
    complete(&done);
    atomic_set(&count, current == current && in_task());
}

const char *test_current(void)
{
    static struct work_struct work;
    struct task_struct *told = NULL, *me = current;
    struct task_struct *task;

    init_completion(&done);
    task = kthread_run(tell_current, &told, "teller");
    wait_for_completion(&done);
    EXPECT(kthread_stop(task) == 1);
    EXPECT(told == task && told != me && current == me && me->pid != task->pid);
    init_completion(&done);
    atomic_set(&count, 0);
    INIT_WORK(&work, tell_current_of_work);
    schedule_work(&work);
    wait_for_completion(&done);
    flush_work(&work);
    EXPECT(atomic_read(&count) == 1);
    return NULL;
}

/* Nobody completes it, and no timer will wake the thread. */
const char *test_waits_for_ever(void)
{
    init_completion(&done);
    wait_for_completion(&done);
    return NULL;
}
