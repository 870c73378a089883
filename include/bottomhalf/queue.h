/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Workqueues, as linux/workqueue.h has them. Internal: drivers include linux/workqueue.h.
 *
 * Names and interfaces are Linux's, so that drivers compile unchanged; nothing else is taken from it.
 */
#ifndef BOTTOMHALF_QUEUE_H
#define BOTTOMHALF_QUEUE_H

#include <bottomhalf/abi.h>
#include <bottomhalf/format.h>

/* Flags of a workqueue, with Linux's values. shim-api.md says what each does here. */
enum {
    /* Works run as tasklets do, at DISPATCH_LEVEL. Only WQ_HIGHPRI and WQ_PERCPU go with it. */
    WQ_BH = 1 << 0,
    /* One FIFO for all CPUs. */
    WQ_UNBOUND = 1 << 1,
    /* Stands still between bottomhalf_freeze() and bottomhalf_thaw(). */
    WQ_FREEZABLE = 1 << 2,
    /* Has a rescuer thread of its own. */
    WQ_MEM_RECLAIM = 1 << 3,
    /* Its works run at high priority. */
    WQ_HIGHPRI = 1 << 4,
    /* These three change nothing here. */
    WQ_CPU_INTENSIVE = 1 << 5,
    WQ_SYSFS = 1 << 6,
    WQ_POWER_EFFICIENT = 1 << 7,
    /* Works run on the CPU that queues. */
    WQ_PERCPU = 1 << 8,
    /* Not Linux's: works never overlap themselves, whatever the rule of the attach. */
    WQ_NON_REENTRANT = 1 << 24
};

/* Values of max_active: the highest, and what 0 stands for. */
enum {
    WQ_MAX_ACTIVE = 512,
    WQ_UNBOUND_MAX_ACTIVE = WQ_MAX_ACTIVE,
    WQ_DFL_ACTIVE = WQ_MAX_ACTIVE / 2
};

BOTTOMHALF_BEGIN

/*
 * Makes a workqueue, with a name that is printed by @format and what follows @max_active, of which 31 bytes
 * are kept. @max_active works of it may run at once: per queueing CPU, or in all with WQ_UNBOUND; 0 means
 * WQ_DFL_ACTIVE. NULL if the kernel is out of memory, nothing is attached (BH03), or the flags exclude each
 * other (BH21).
 *
 * IRQL: = PASSIVE. Above APC_LEVEL no queue is made, and that is said (BH15).
 */
BOTTOMHALF_IRQL_PASSIVE BOTTOMHALF_MUST_CHECK BOTTOMHALF_PRINTF(1, 4)
static inline struct workqueue_struct *alloc_workqueue(BOTTOMHALF_FORMAT_STRING const char *format,
                                                       unsigned int flags, int max_active, ...)
{
    struct bottomhalf_name name;
    const char *printed;
    va_list arguments;

    va_start(arguments, max_active);
    printed = bottomhalf_print_name(&name, format, arguments);
    va_end(arguments);
    return bottomhalf_alloc_workqueue(printed, flags, max_active);
}

/*
 * Makes a workqueue that runs its works one at a time, in the order of queueing, on any CPU. Otherwise as
 * alloc_workqueue().
 *
 * IRQL: = PASSIVE. Above APC_LEVEL no queue is made, and that is said (BH15).
 */
BOTTOMHALF_IRQL_PASSIVE BOTTOMHALF_MUST_CHECK BOTTOMHALF_PRINTF(1, 3)
static inline struct workqueue_struct *alloc_ordered_workqueue(BOTTOMHALF_FORMAT_STRING const char *format,
                                                               unsigned int flags, ...)
{
    struct bottomhalf_name name;
    const char *printed;
    va_list arguments;

    va_start(arguments, flags);
    printed = bottomhalf_print_name(&name, format, arguments);
    va_end(arguments);
    return bottomhalf_alloc_ordered_workqueue(printed, flags);
}

/*
 * Makes a queue with WQ_MEM_RECLAIM and a max_active of 1: one work at a time for each CPU, so not one in
 * all. NULL as alloc_workqueue().
 *
 * IRQL: = PASSIVE. Above APC_LEVEL no queue is made, and that is said (BH15).
 */
BOTTOMHALF_IRQL_PASSIVE BOTTOMHALF_MUST_CHECK
static inline struct workqueue_struct *create_workqueue(const char *name)
{
    return bottomhalf_create_workqueue(name);
}

/*
 * Makes an ordered queue with WQ_MEM_RECLAIM. NULL as alloc_workqueue().
 *
 * IRQL: = PASSIVE. Above APC_LEVEL no queue is made, and that is said (BH15).
 */
BOTTOMHALF_IRQL_PASSIVE BOTTOMHALF_MUST_CHECK
static inline struct workqueue_struct *create_singlethread_workqueue(const char *name)
{
    return bottomhalf_create_singlethread_workqueue(name);
}

/*
 * Makes a queue with WQ_FREEZABLE, WQ_UNBOUND, WQ_MEM_RECLAIM and a max_active of 1. NULL as
 * alloc_workqueue().
 *
 * IRQL: = PASSIVE. Above APC_LEVEL no queue is made, and that is said (BH15).
 */
BOTTOMHALF_IRQL_PASSIVE BOTTOMHALF_MUST_CHECK
static inline struct workqueue_struct *create_freezable_workqueue(const char *name)
{
    return bottomhalf_create_freezable_workqueue(name);
}

/*
 * Waits until every work that is queued on @wq now has run; not for those queued later, nor for armed ones.
 * From a work of @wq (BH07), and at DISPATCH_LEVEL (BH06), it does not wait, and says so.
 *
 * IRQL: = PASSIVE. Blocks.
 */
BOTTOMHALF_IRQL_PASSIVE
static inline void flush_workqueue(struct workqueue_struct *wq)
{
    bottomhalf_flush_workqueue(wq);
}

/*
 * Runs what is pending on @wq and what its own works queue meanwhile, until it is empty. Others are refused
 * meanwhile (BH02). It waits where flush_workqueue() does.
 *
 * IRQL: = PASSIVE. Blocks.
 */
BOTTOMHALF_IRQL_PASSIVE
static inline void drain_workqueue(struct workqueue_struct *wq)
{
    bottomhalf_drain_workqueue(wq);
}

/*
 * Drains @wq and frees it. Delayed works that are armed for it run once, at once, and are reported (BH10); no
 * more are armed (BH02). NULL is reported (BH34). A system queue is left as it is (BH24).
 *
 * IRQL: = PASSIVE. Blocks.
 */
BOTTOMHALF_IRQL_PASSIVE
static inline void destroy_workqueue(struct workqueue_struct *wq)
{
    bottomhalf_destroy_workqueue(wq);
}

/*
 * Lets @max_active works of @wq run at once from now on. What was held back starts; what runs goes on. An
 * ordered or WQ_BH queue is left as it is (BH19).
 *
 * IRQL: <= DISPATCH. Does not block.
 */
BOTTOMHALF_IRQL_DISPATCH
static inline void workqueue_set_max_active(struct workqueue_struct *wq, int max_active)
{
    bottomhalf_workqueue_set_max_active(wq, max_active);
}

/*
 * Whether works that @cpu has queued on @wq wait for others of it to end, by max_active. A hint.
 * WORK_CPU_UNBOUND asks for the caller's CPU.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool workqueue_congested(int cpu, struct workqueue_struct *wq)
{
    return bottomhalf_workqueue_congested(cpu, wq);
}

/*
 * The queues that every driver image has; NULL while nothing is attached. They are not to be destroyed
 * (BH24). The name says the flags; the newer names system_percpu_wq and system_dfl_wq are system_wq and
 * system_unbound_wq.
 *
 * IRQL: any. Does not block.
 */
#define system_wq (bottomhalf_system_wq())
#define system_percpu_wq (bottomhalf_system_percpu_wq())
#define system_highpri_wq (bottomhalf_system_highpri_wq())
#define system_long_wq (bottomhalf_system_long_wq())
#define system_unbound_wq (bottomhalf_system_unbound_wq())
#define system_dfl_wq (bottomhalf_system_dfl_wq())
#define system_dfl_long_wq (bottomhalf_system_dfl_long_wq())
#define system_freezable_wq (bottomhalf_system_freezable_wq())
#define system_power_efficient_wq (bottomhalf_system_power_efficient_wq())
#define system_freezable_power_efficient_wq (bottomhalf_system_freezable_power_efficient_wq())
#define system_bh_wq (bottomhalf_system_bh_wq())
#define system_bh_highpri_wq (bottomhalf_system_bh_highpri_wq())

/*
 * flush_workqueue() of system_wq, on which only the driver's own works are.
 *
 * IRQL: = PASSIVE. Blocks.
 */
BOTTOMHALF_IRQL_PASSIVE
static inline void flush_scheduled_work(void)
{
    bottomhalf_flush_scheduled_work();
}

BOTTOMHALF_END

#endif
