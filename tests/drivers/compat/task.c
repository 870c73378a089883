// SPDX-License-Identifier: MIT OR Apache-2.0
/* Threads: who the caller is, sleeping and waking, and the threads of a driver. */
#include <linux/bug.h>
#include <linux/cpumask.h>
#include <linux/kthread.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sprintf.h>
#include <linux/string.h>

#include "internal.h"

/*
 * Tasks are never freed before the environment ends: who has one in a queue or a variable need not ask
 * whether its thread is still there.
 */
#define TASKS 512

/* The thread of a task that has ended; no thread object is there. */
#define NO_THREAD ((void *)(uintptr_t)1)

_Static_assert(sizeof(KEVENT) == sizeof(((struct task_struct *)0)->compat_event), "an event fits");

static struct task_struct tasks[TASKS];
static unsigned int tasks_used;
/* Tasks whose events are to be set, the newest first. */
static struct task_struct *to_wake;
static KDPC wake_dpc;

static PKEVENT event_of(struct task_struct *task)
{
    return (PKEVENT)task->compat_event;
}

/* A task for a thread, or for one that will say later which it is. */
static struct task_struct *new_task(void *thread)
{
    unsigned int index = __atomic_fetch_add(&tasks_used, 1, __ATOMIC_RELAXED);
    struct task_struct *task;

    BUG_ON(index >= TASKS);
    task = &tasks[index];
    memset(task, 0, sizeof(*task));
    task->pid = (pid_t)index + 1;
    task->compat_cpu = -1;
    KeInitializeEvent(event_of(task), SynchronizationEvent, FALSE);
    __atomic_store_n(&task->compat_thread, thread, __ATOMIC_RELEASE);
    return task;
}

static struct task_struct *find_task(void *thread)
{
    unsigned int used = min(__atomic_load_n(&tasks_used, __ATOMIC_RELAXED), (unsigned int)TASKS);
    unsigned int i;

    for (i = 0; i < used; i++) {
        if (__atomic_load_n(&tasks[i].compat_thread, __ATOMIC_ACQUIRE) == thread)
            return &tasks[i];
    }
    return NULL;
}

struct task_struct *get_current(void)
{
    void *thread = KeGetCurrentThread();
    struct task_struct *task = find_task(thread);
    KIRQL irql;

    if (task)
        return task;
    /* An interrupt of this thread would make a second one meanwhile. */
    irql = compat_raise(COMPAT_DEVICES_IRQL);
    task = find_task(thread);
    if (!task)
        task = new_task(thread);
    compat_lower(irql);
    return task;
}

/* Sets the events of all tasks to be woken, in the order in which they were given. At most DISPATCH_LEVEL. */
static void wake_all_tasks(void)
{
    struct task_struct *newest, *task = NULL;
    KIRQL irql = compat_raise(DISPATCH_LEVEL);

    newest = __atomic_exchange_n(&to_wake, NULL, __ATOMIC_ACQ_REL);
    while (newest) {
        struct task_struct *before = newest->compat_next;

        newest->compat_next = task;
        task = newest;
        newest = before;
    }
    while (task) {
        struct task_struct *next = task->compat_next;

        /* From here on the task may be given again. */
        __atomic_store_n(&task->compat_is_waking, 0, __ATOMIC_SEQ_CST);
        KeSetEvent(event_of(task), 0, FALSE);
        task = next;
    }
    compat_lower(irql);
}

static void wake_in_dpc(struct _KDPC *dpc, PVOID context, PVOID first, PVOID second)
{
    (void)dpc, (void)context, (void)first, (void)second;
    wake_all_tasks();
}

void compat_wake_later(struct task_struct *task)
{
    struct task_struct *newest;

    if (__atomic_exchange_n(&task->compat_is_waking, 1, __ATOMIC_SEQ_CST))
        return;
    newest = __atomic_load_n(&to_wake, __ATOMIC_RELAXED);
    do {
        task->compat_next = newest;
    } while (!__atomic_compare_exchange_n(&to_wake, &newest, task, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

void compat_wake_flush(void)
{
    if (!__atomic_load_n(&to_wake, __ATOMIC_RELAXED))
        return;
    if (KeGetCurrentIrql() <= DISPATCH_LEVEL)
        wake_all_tasks();
    else
        KeInsertQueueDpc(&wake_dpc, NULL, NULL);
}

int wake_up_process(struct task_struct *task)
{
    int slept = READ_ONCE(task->__state) != TASK_RUNNING;

    compat_wake_later(task);
    compat_wake_flush();
    return slept;
}

void compat_set_state(unsigned int state)
{
    struct task_struct *task = get_current();

    /* A wake before this is seen by the thread's next look at its condition; one after it is kept. */
    if (state != TASK_RUNNING)
        KeClearEvent(event_of(task));
    __atomic_store_n(&task->__state, state, __ATOMIC_SEQ_CST);
}

long schedule_timeout(long timeout)
{
    struct task_struct *task = get_current();
    unsigned long end = jiffies + (unsigned long)timeout;
    bool forever = timeout == MAX_SCHEDULE_TIMEOUT;
    LARGE_INTEGER due;
    NTSTATUS status;
    long left;

    if (task->__state == TASK_RUNNING || timeout <= 0) {
        WRITE_ONCE(task->__state, TASK_RUNNING);
        return timeout < 0 ? 0 : timeout;
    }
    due.QuadPart = -((s64)timeout * (10000000 / HZ));
    status = KeWaitForSingleObject(event_of(task), Executive, KernelMode, FALSE, forever ? NULL : &due);
    WRITE_ONCE(task->__state, TASK_RUNNING);
    if (forever)
        return timeout;
    if (status == STATUS_TIMEOUT)
        return 0;
    left = (long)(end - jiffies);
    return left < 0 ? 0 : left;
}

void schedule(void)
{
    schedule_timeout(MAX_SCHEDULE_TIMEOUT);
}

long schedule_timeout_interruptible(long timeout)
{
    compat_set_state(TASK_INTERRUPTIBLE);
    return schedule_timeout(timeout);
}

long schedule_timeout_uninterruptible(long timeout)
{
    compat_set_state(TASK_UNINTERRUPTIBLE);
    return schedule_timeout(timeout);
}

/* NT takes the CPU from a thread by itself; this is a place where it may do so. */
int cond_resched(void)
{
    cpu_relax();
    return 0;
}

void yield(void)
{
    cpu_relax();
}

void might_sleep(void)
{
    WARN_ON(KeGetCurrentIrql() >= DISPATCH_LEVEL);
}

static void bind_to(u64 mask, GROUP_AFFINITY *before)
{
    GROUP_AFFINITY affinity;

    memset(&affinity, 0, sizeof(affinity));
    affinity.Mask = (KAFFINITY)mask;
    KeSetSystemGroupAffinityThread(&affinity, before);
}

int set_cpus_allowed_ptr(struct task_struct *task, const struct cpumask *mask)
{
    GROUP_AFFINITY before;

    if (task != get_current())
        return -EINVAL;
    bind_to(mask->bits, &before);
    return 0;
}

void sched_set_fifo(struct task_struct *task)
{
    (void)task;
}

static void kthread_main(void *context)
{
    struct task_struct *task = context;
    GROUP_AFFINITY before;

    __atomic_store_n(&task->compat_thread, (void *)KeGetCurrentThread(), __ATOMIC_RELEASE);
    KeWaitForSingleObject(event_of(task), Executive, KernelMode, FALSE, NULL);
    WRITE_ONCE(task->__state, TASK_RUNNING);
    if (task->compat_cpu >= 0)
        bind_to((u64)1 << task->compat_cpu, &before);
    task->compat_result = -EINTR;
    if (!kthread_should_stop())
        task->compat_result = task->compat_function(task->compat_data);
    if (task->compat_cpu >= 0)
        KeRevertToUserGroupAffinityThread(&before);
    __atomic_store_n(&task->compat_thread, NO_THREAD, __ATOMIC_RELEASE);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

struct task_struct *kthread_create(int (*function)(void *data), void *data, const char *fmt, ...)
{
    struct task_struct *task = new_task(NO_THREAD);
    HANDLE handle;
    va_list args;

    va_start(args, fmt);
    vsnprintf(task->comm, sizeof(task->comm), fmt, args);
    va_end(args);
    task->compat_function = function;
    task->compat_data = data;
    task->__state = TASK_UNINTERRUPTIBLE;
    if (!NT_SUCCESS(PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, kthread_main, task)))
        return ERR_PTR(-ENOMEM);
    ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, NULL, KernelMode, &task->compat_object, NULL);
    ZwClose(handle);
    return task;
}

void kthread_bind(struct task_struct *task, unsigned int cpu)
{
    task->compat_cpu = (int)cpu;
}

bool kthread_should_stop(void)
{
    return __atomic_load_n(&get_current()->compat_should_stop, __ATOMIC_SEQ_CST) != 0;
}

int kthread_stop(struct task_struct *task)
{
    __atomic_store_n(&task->compat_should_stop, 1, __ATOMIC_SEQ_CST);
    wake_up_process(task);
    KeWaitForSingleObject(task->compat_object, Executive, KernelMode, FALSE, NULL);
    return task->compat_result;
}

void compat_tasks_init(void)
{
    tasks_used = 0;
    to_wake = NULL;
    KeInitializeDpc(&wake_dpc, wake_in_dpc, NULL);
}

/* Every thread of a driver has been told to end, or will by itself. */
void compat_tasks_exit(void)
{
    unsigned int i;

    for (i = 0; i < tasks_used; i++) {
        if (!tasks[i].compat_object)
            continue;
        KeWaitForSingleObject(tasks[i].compat_object, Executive, KernelMode, FALSE, NULL);
        ObDereferenceObject(tasks[i].compat_object);
        tasks[i].compat_object = NULL;
    }
}
