/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Delayed works, as linux/workqueue.h has them. A delayed work is a work that is queued after a number of
 * jiffies, and pending from when it is armed. A delay of zero uses no timer. Internal: drivers include
 * linux/workqueue.h.
 *
 * Names and interfaces are Linux's, so that drivers compile unchanged; nothing else is taken from it.
 */
#ifndef BOTTOMHALF_DELAYED_WORK_H
#define BOTTOMHALF_DELAYED_WORK_H

#include <bottomhalf/work.h>

/*
 * The initialiser of a delayed work, for statics and members; @name and @flags are not used.
 *
 * IRQL: any. Does not block.
 */
#define __DELAYED_WORK_INITIALIZER(name, func, flags) BOTTOMHALF_DELAYED_WORK(func)

/*
 * Defines a delayed work that is ready to be queued.
 *
 * IRQL: any. Does not block.
 */
#define DECLARE_DELAYED_WORK(name, func) struct delayed_work name = __DELAYED_WORK_INITIALIZER(name, func, 0)

/*
 * DECLARE_DELAYED_WORK(): all delayed works share their timers, so none can leave an idle CPU alone.
 *
 * IRQL: any. Does not block.
 */
#define DECLARE_DEFERRABLE_WORK(name, func) DECLARE_DELAYED_WORK(name, func)

BOTTOMHALF_BEGIN

/* A delay with the sign bit of `long` lies in the past, whatever the width of `long`. */
static inline uint64_t bottomhalf_delay(unsigned long delay)
{
    return (uint64_t)(int64_t)(long)delay;
}

/*
 * The delayed work whose member `work` is @work.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline struct delayed_work *to_delayed_work(struct work_struct *work)
{
    return container_of(work, struct delayed_work, work);
}

/*
 * Makes @dwork ready. Plain stores; nothing can fail. It is not pending.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline void INIT_DELAYED_WORK(struct delayed_work *dwork, work_func_t func)
{
    struct delayed_work made = BOTTOMHALF_DELAYED_WORK(func);

    *dwork = made;
}

/*
 * INIT_DELAYED_WORK() for one on a stack. Before its frame ends it is flushed or cancelled, and given to
 * destroy_delayed_work_on_stack().
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline void INIT_DELAYED_WORK_ONSTACK(struct delayed_work *dwork, work_func_t func)
{
    INIT_DELAYED_WORK(dwork, func);
}

/*
 * INIT_DELAYED_WORK(): see DECLARE_DEFERRABLE_WORK().
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline void INIT_DEFERRABLE_WORK(struct delayed_work *dwork, work_func_t func)
{
    INIT_DELAYED_WORK(dwork, func);
}

/*
 * INIT_DELAYED_WORK_ONSTACK(): see DECLARE_DEFERRABLE_WORK().
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline void INIT_DEFERRABLE_WORK_ONSTACK(struct delayed_work *dwork, work_func_t func)
{
    INIT_DELAYED_WORK(dwork, func);
}

/*
 * Says that the frame of @dwork ends, as destroy_work_on_stack() does. An armed one is pending.
 *
 * IRQL: <= DISPATCH. Blocks only where it reports, and not at DISPATCH_LEVEL (BH06).
 */
BOTTOMHALF_IRQL_DISPATCH
static inline void destroy_delayed_work_on_stack(struct delayed_work *dwork)
{
    bottomhalf_destroy_delayed_work_on_stack(dwork);
}

/*
 * Queues @dwork on @wq after @delay jiffies, never earlier. True if this call made it pending; false if it
 * was so already, and an armed timer is left as it is, or if it is refused, as by queue_work().
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool queue_delayed_work(struct workqueue_struct *wq, struct delayed_work *dwork,
                                      unsigned long delay)
{
    return bottomhalf_queue_delayed_work(wq, dwork, bottomhalf_delay(delay));
}

/*
 * queue_delayed_work() on system_wq.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool schedule_delayed_work(struct delayed_work *dwork, unsigned long delay)
{
    return bottomhalf_schedule_delayed_work(dwork, bottomhalf_delay(delay));
}

/*
 * queue_delayed_work() for @cpu: when the delay is over it is queued as by queue_work_on().
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool queue_delayed_work_on(int cpu, struct workqueue_struct *wq, struct delayed_work *dwork,
                                         unsigned long delay)
{
    return bottomhalf_queue_delayed_work_on(cpu, wq, dwork, bottomhalf_delay(delay));
}

/*
 * queue_delayed_work_on() on system_wq.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool schedule_delayed_work_on(int cpu, struct delayed_work *dwork, unsigned long delay)
{
    return bottomhalf_schedule_delayed_work_on(cpu, dwork, bottomhalf_delay(delay));
}

/*
 * Makes @dwork due on @wq @delay jiffies from now, whatever it was doing. True if it was pending; false if it
 * was not and is now, or if it is being cancelled by a _sync call, and then nothing happens.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool mod_delayed_work(struct workqueue_struct *wq, struct delayed_work *dwork,
                                    unsigned long delay)
{
    return bottomhalf_mod_delayed_work(wq, dwork, bottomhalf_delay(delay));
}

/*
 * mod_delayed_work() for @cpu, as queue_delayed_work_on() takes it.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool mod_delayed_work_on(int cpu, struct workqueue_struct *wq, struct delayed_work *dwork,
                                       unsigned long delay)
{
    return bottomhalf_mod_delayed_work_on(cpu, wq, dwork, bottomhalf_delay(delay));
}

/*
 * Cancels @dwork and does not wait. True if it was armed or queued; a running instance goes on.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool cancel_delayed_work(struct delayed_work *dwork)
{
    return bottomhalf_cancel_delayed_work(dwork);
}

/*
 * Cancels @dwork, keeps it from being queued meanwhile, and waits until it does not run, also if it arms
 * itself. True if it was pending.
 *
 * IRQL: = PASSIVE. Blocks while it runs, as cancel_work_sync() does.
 */
BOTTOMHALF_IRQL_PASSIVE
static inline bool cancel_delayed_work_sync(struct delayed_work *dwork)
{
    return bottomhalf_cancel_delayed_work_sync(dwork);
}

/*
 * Queues @dwork now if it is armed, and waits until it has run. True if it waited.
 *
 * IRQL: = PASSIVE. Blocks, as flush_work() does.
 */
BOTTOMHALF_IRQL_PASSIVE
static inline bool flush_delayed_work(struct delayed_work *dwork)
{
    return bottomhalf_flush_delayed_work(dwork);
}

/*
 * Whether @dwork is armed or queued. A hint.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool delayed_work_pending(const struct delayed_work *dwork)
{
    return bottomhalf_delayed_work_pending(dwork);
}

/*
 * disable_work() for a delayed work: one that is armed is cancelled too.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool disable_delayed_work(struct delayed_work *dwork)
{
    return bottomhalf_disable_delayed_work(dwork);
}

/*
 * disable_work_sync() for a delayed work.
 *
 * IRQL: = PASSIVE. Blocks while it runs, as cancel_work_sync() does.
 */
BOTTOMHALF_IRQL_PASSIVE
static inline bool disable_delayed_work_sync(struct delayed_work *dwork)
{
    return bottomhalf_disable_delayed_work_sync(dwork);
}

/*
 * enable_work() for a delayed work; does not arm.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool enable_delayed_work(struct delayed_work *dwork)
{
    return bottomhalf_enable_delayed_work(dwork);
}

BOTTOMHALF_END

#endif
