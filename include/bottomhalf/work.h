/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Works, as linux/workqueue.h has them. A work is a function that runs later at PASSIVE_LEVEL and may block.
 * Queueing makes it pending, once; it stops being so just before its function is called, which may free it or
 * queue it again. Internal: drivers include linux/workqueue.h.
 *
 * Names and interfaces are Linux's, so that drivers compile unchanged; nothing else is taken from it.
 */
#ifndef BOTTOMHALF_WORK_H
#define BOTTOMHALF_WORK_H

#include <bottomhalf/abi.h>
#include <bottomhalf/format.h>

/* Bits of work_busy(). */
#define WORK_BUSY_PENDING 1u
#define WORK_BUSY_RUNNING 2u
/* The bit of work_data_bits() that says pending: its number, and its value. */
#define WORK_STRUCT_PENDING_BIT 0
#define WORK_STRUCT_PENDING (1ul << WORK_STRUCT_PENDING_BIT)
/* The CPU of the calls named _on: none. */
#define WORK_CPU_UNBOUND 8192

/*
 * The initialiser of a work, for statics and members; @name is not used.
 *
 * IRQL: any. Does not block.
 */
#define __WORK_INITIALIZER(name, func) BOTTOMHALF_WORK(func)

/*
 * Defines a work that is ready to be queued.
 *
 * IRQL: any. Does not block.
 */
#define DECLARE_WORK(name, func) struct work_struct name = __WORK_INITIALIZER(name, func)

/*
 * In a work's function: what has the work as its member `field`. The type is that of *@var.
 *
 * IRQL: any. Does not block.
 */
#define from_work(var, work, field) container_of(work, BOTTOMHALF_TYPEOF(*(var)), field)

/*
 * The word of @work, whose bit WORK_STRUCT_PENDING_BIT is Linux's. To be read only, and a hint.
 *
 * IRQL: any. Does not block.
 */
#define work_data_bits(work) ((const volatile unsigned long *)&(work)->data)

BOTTOMHALF_BEGIN

/*
 * Makes @work ready. Plain stores; nothing can fail. @work is not pending; while it runs, the new function
 * counts for the next queueing.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline void INIT_WORK(struct work_struct *work, work_func_t func)
{
    struct work_struct made = BOTTOMHALF_WORK(func);

    *work = made;
}

/*
 * INIT_WORK() for a work on a stack. Before its frame ends it is flushed or cancelled, and given to
 * destroy_work_on_stack().
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline void INIT_WORK_ONSTACK(struct work_struct *work, work_func_t func)
{
    INIT_WORK(work, func);
}

/*
 * Says that the frame of @work ends. One that is still pending is cancelled, waited for, and reported (BH20).
 *
 * IRQL: <= DISPATCH. Blocks only where it reports, and not at DISPATCH_LEVEL (BH06).
 */
BOTTOMHALF_IRQL_DISPATCH
static inline void destroy_work_on_stack(struct work_struct *work)
{
    bottomhalf_destroy_work_on_stack(work);
}

/*
 * Queues @work on @wq. True if this call made it pending; false if it was so already, is disabled, is being
 * cancelled by a _sync call, or is refused, which is reported. In either case the run sees the stores made
 * before the call.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool queue_work(struct workqueue_struct *wq, struct work_struct *work)
{
    return bottomhalf_queue_work(wq, work);
}

/*
 * queue_work() on system_wq.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool schedule_work(struct work_struct *work)
{
    return bottomhalf_schedule_work(work);
}

/*
 * queue_work() for @cpu: on a bound queue the function runs there. A CPU that is not active is reported
 * (BH18), and the work runs elsewhere. WORK_CPU_UNBOUND asks for nothing.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool queue_work_on(int cpu, struct workqueue_struct *wq, struct work_struct *work)
{
    return bottomhalf_queue_work_on(cpu, wq, work);
}

/*
 * queue_work_on() on system_wq.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool schedule_work_on(int cpu, struct work_struct *work)
{
    return bottomhalf_schedule_work_on(cpu, work);
}

/*
 * Cancels @work and does not wait. True if it was pending; a running instance goes on.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool cancel_work(struct work_struct *work)
{
    return bottomhalf_cancel_work(work);
}

/*
 * Cancels @work, keeps it from being queued meanwhile, and waits until it does not run. True if it was
 * pending. From its own function (BH07), and at DISPATCH_LEVEL (BH06), it does not wait, and says so.
 *
 * IRQL: = PASSIVE. Blocks while it runs. For a work that was on a WQ_BH queue last, also DISPATCH_LEVEL:
 * there it spins.
 */
BOTTOMHALF_IRQL_DISPATCH
static inline bool cancel_work_sync(struct work_struct *work)
{
    return bottomhalf_cancel_work_sync(work);
}

/*
 * Waits until the instance of @work that is queued and those that run have ended. True if it waited. From its
 * own function (BH07), and at DISPATCH_LEVEL (BH06), it returns false at once, and says so.
 *
 * IRQL: = PASSIVE. Blocks.
 */
BOTTOMHALF_IRQL_PASSIVE
static inline bool flush_work(struct work_struct *work)
{
    return bottomhalf_flush_work(work);
}

/*
 * Whether @work is pending. A hint.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool work_pending(const struct work_struct *work)
{
    return bottomhalf_work_pending(work);
}

/*
 * Whether @work is pending (WORK_BUSY_PENDING) or runs (WORK_BUSY_RUNNING). A hint.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline unsigned int work_busy(const struct work_struct *work)
{
    return bottomhalf_work_busy(work);
}

/*
 * The work that the caller is the function of, or NULL.
 *
 * IRQL: <= APC. Does not block. Above it the answer is NULL, in the works of WQ_BH queues too.
 */
BOTTOMHALF_IRQL_APC
static inline struct work_struct *current_work(void)
{
    return bottomhalf_current_work();
}

/*
 * Disables @work once more, so that queueing it is refused, and cancels it; does not wait. True if it was
 * pending.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool disable_work(struct work_struct *work)
{
    return bottomhalf_disable_work(work);
}

/*
 * As disable_work(), and waits until it does not run. True if it was pending.
 *
 * IRQL: = PASSIVE. Blocks while it runs, as cancel_work_sync() does.
 */
BOTTOMHALF_IRQL_DISPATCH
static inline bool disable_work_sync(struct work_struct *work)
{
    return bottomhalf_disable_work_sync(work);
}

/*
 * Takes one disable back; does not queue. True if @work can be queued again. One too many is reported (BH14).
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool enable_work(struct work_struct *work)
{
    return bottomhalf_enable_work(work);
}

/*
 * enable_work(), and queue_work() if it can be queued again. True if it can: somebody else may have queued
 * it.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool enable_and_queue_work(struct workqueue_struct *wq, struct work_struct *work)
{
    return bottomhalf_enable_and_queue_work(wq, work);
}

/* A function that returns a `long`, as one that returns 64 bits on every ABI. */
struct bottomhalf_on_cpu {
    long (*func)(void *arg);
    void *arg;
};

static inline int64_t bottomhalf_run_on_cpu(void *arg)
{
    struct bottomhalf_on_cpu *on_cpu = (struct bottomhalf_on_cpu *)arg;

    return on_cpu->func(on_cpu->arg);
}

/*
 * Runs @func(@arg) on @cpu, as a work of system_wq, and returns what it returns. -ENODEV (-19): the CPU is
 * not active, or nothing is attached. -EDEADLK (-35): it would run behind the caller (BH07). -EINVAL (-22):
 * at DISPATCH_LEVEL (BH06).
 *
 * IRQL: = PASSIVE. Blocks.
 */
BOTTOMHALF_IRQL_PASSIVE
static inline long work_on_cpu(int cpu, long (*func)(void *), void *arg)
{
    struct bottomhalf_on_cpu on_cpu = { func, arg };

    return (long)bottomhalf_work_on_cpu(cpu, func ? bottomhalf_run_on_cpu : NULL, &on_cpu);
}

/*
 * work_on_cpu(): on NT no CPU goes offline meanwhile.
 *
 * IRQL: = PASSIVE. Blocks.
 */
BOTTOMHALF_IRQL_PASSIVE
static inline long work_on_cpu_safe(int cpu, long (*func)(void *), void *arg)
{
    struct bottomhalf_on_cpu on_cpu = { func, arg };

    return (long)bottomhalf_work_on_cpu_safe(cpu, func ? bottomhalf_run_on_cpu : NULL, &on_cpu);
}

/*
 * Runs @func as a work on every active CPU, and waits for all. 0, or as work_on_cpu(); -ENOMEM (-12) if there
 * is no memory for the works.
 *
 * IRQL: = PASSIVE. Blocks.
 */
BOTTOMHALF_IRQL_PASSIVE
static inline int schedule_on_each_cpu(work_func_t func)
{
    return bottomhalf_schedule_on_each_cpu(func);
}

/*
 * Calls @func where it may block: now, and returns 0; or, above APC_LEVEL, as a work of system_wq, and
 * returns 1. @ew stays in place until then.
 *
 * IRQL: any. Blocks if the function does.
 */
BOTTOMHALF_IRQL_ANY
static inline int execute_in_process_context(work_func_t func, struct execute_work *ew)
{
    return bottomhalf_execute_in_process_context(func, ew);
}

/*
 * Describes what the calling worker does. NT has nowhere to show it: taken from anybody, it changes nothing.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY BOTTOMHALF_PRINTF(1, 2)
static inline void set_worker_desc(BOTTOMHALF_FORMAT_STRING const char *format, ...)
{
    (void)format;
}

/*
 * Whether the caller is a work that runs on a rescuer's thread, because NT's pool had none in time.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool current_is_workqueue_rescuer(void)
{
    return bottomhalf_current_is_workqueue_rescuer();
}

BOTTOMHALF_END

#endif
