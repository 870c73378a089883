/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tasklets. A tasklet is a function that runs soon, at DISPATCH_LEVEL, on the CPU that scheduled it, and
 * never on two CPUs at once. shim-api.md is the contract; each comment here says the highest level of its
 * call.
 *
 * Names and interfaces are Linux's, so that drivers compile unchanged; nothing else is taken from it.
 */
#ifndef BOTTOMHALF_LINUX_INTERRUPT_H
#define BOTTOMHALF_LINUX_INTERRUPT_H

#include <bottomhalf/abi.h>
#include <bottomhalf/llp64.h>
#include <linux/bottom_half.h>
#include <linux/preempt.h>

/* Numbers of the bits of tasklet_struct.state: scheduled, or claimed by a kill; running, or locked. */
enum {
    TASKLET_STATE_SCHED,
    TASKLET_STATE_RUN
};

/*
 * Defines a tasklet that is ready to be scheduled; the callback gets the tasklet.
 *
 * IRQL: any. Does not block.
 */
#define DECLARE_TASKLET(name, callback) \
    struct tasklet_struct name = BOTTOMHALF_TASKLET(callback, true, 0, 0)

/*
 * Defines a tasklet that is disabled once.
 *
 * IRQL: any. Does not block.
 */
#define DECLARE_TASKLET_DISABLED(name, callback) \
    struct tasklet_struct name = BOTTOMHALF_TASKLET(callback, true, 1, 0)

/*
 * Defines a tasklet of the old form. Its function gets the member `data`, which is zero until the driver sets
 * it.
 *
 * IRQL: any. Does not block.
 */
#define DECLARE_TASKLET_OLD(name, func) \
    struct tasklet_struct name = BOTTOMHALF_TASKLET(BOTTOMHALF_CALLBACK(BOTTOMHALF_OLD(func)), false, 0, 0)

/*
 * Defines a tasklet of the old form that is disabled once.
 *
 * IRQL: any. Does not block.
 */
#define DECLARE_TASKLET_DISABLED_OLD(name, func) \
    struct tasklet_struct name = BOTTOMHALF_TASKLET(BOTTOMHALF_CALLBACK(BOTTOMHALF_OLD(func)), false, 1, 0)

/*
 * In a callback: what has the tasklet as its member `field`. The type is that of *@var.
 *
 * IRQL: any. Does not block.
 */
#define from_tasklet(var, tasklet, field) container_of(tasklet, BOTTOMHALF_TYPEOF(*(var)), field)

BOTTOMHALF_BEGIN

/*
 * Makes @t ready, with a callback that gets the tasklet. Plain stores; nothing can fail. @t is neither
 * scheduled nor running.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline void tasklet_setup(struct tasklet_struct *t, void (*callback)(struct tasklet_struct *))
{
    struct tasklet_struct made = BOTTOMHALF_TASKLET(callback, true, 0, 0);

    *t = made;
}

/*
 * Makes @t run soon on this CPU, after its high-priority tasklets. One that is scheduled already stays where
 * it is, and its run sees the stores made before this call. A disabled one stays scheduled until it is
 * enabled.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline void tasklet_schedule(struct tasklet_struct *t)
{
    bottomhalf_tasklet_schedule(t);
}

/*
 * As tasklet_schedule(), before the CPU's normal tasklets.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline void tasklet_hi_schedule(struct tasklet_struct *t)
{
    bottomhalf_tasklet_hi_schedule(t);
}

/*
 * Disables @t once more and waits until it does not run. One that is scheduled stays so.
 *
 * IRQL: = PASSIVE. Blocks while it runs. At DISPATCH_LEVEL it does not wait, and says so (BH06).
 */
BOTTOMHALF_IRQL_PASSIVE
static inline void tasklet_disable(struct tasklet_struct *t)
{
    bottomhalf_tasklet_disable(t);
}

/*
 * Disables @t once more. A run that has begun goes on; the tasklet itself may call this.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline void tasklet_disable_nosync(struct tasklet_struct *t)
{
    bottomhalf_tasklet_disable_nosync(t);
}

/*
 * Disables @t once more and spins until it does not run. Where the run is under the caller it cannot end:
 * then the call does not wait, and says so (BH16).
 *
 * IRQL: any. Spins while it runs on another CPU.
 */
BOTTOMHALF_IRQL_ANY
static inline void tasklet_disable_in_atomic(struct tasklet_struct *t)
{
    bottomhalf_tasklet_disable_in_atomic(t);
}

/*
 * Takes one disable back. With the last one a tasklet that was scheduled meanwhile runs, on the CPU that
 * scheduled it. One too many is reported (BH09).
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline void tasklet_enable(struct tasklet_struct *t)
{
    bottomhalf_tasklet_enable(t);
}

/*
 * Waits until @t is over. A scheduled one runs first, a disabled one when it is enabled; schedules meanwhile
 * are lost, also its own. After it the memory may be freed.
 *
 * IRQL: = PASSIVE. Blocks. At DISPATCH_LEVEL it does nothing, and says so (BH06).
 */
BOTTOMHALF_IRQL_PASSIVE
static inline void tasklet_kill(struct tasklet_struct *t)
{
    bottomhalf_tasklet_kill(t);
}

/*
 * Locks @t against running, if it neither runs nor is locked. True if it did: tasklet_unlock() is owed then.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY BOTTOMHALF_MUST_CHECK
static inline bool tasklet_trylock(struct tasklet_struct *t)
{
    return bottomhalf_tasklet_trylock(t);
}

/*
 * Takes the lock of tasklet_trylock() off. What was scheduled meanwhile runs, on the CPU that scheduled it.
 * One that is not locked is reported (BH29).
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline void tasklet_unlock(struct tasklet_struct *t)
{
    bottomhalf_tasklet_unlock(t);
}

/*
 * Waits until @t neither runs nor is locked. It may begin again at once.
 *
 * IRQL: = PASSIVE. Blocks. At DISPATCH_LEVEL it does not wait, and says so (BH06).
 */
BOTTOMHALF_IRQL_PASSIVE
static inline void tasklet_unlock_wait(struct tasklet_struct *t)
{
    bottomhalf_tasklet_unlock_wait(t);
}

/*
 * As tasklet_unlock_wait(), spinning. Where the run is under the caller it does not wait, and says so (BH16).
 *
 * IRQL: any. Spins.
 */
BOTTOMHALF_IRQL_ANY
static inline void tasklet_unlock_spin_wait(struct tasklet_struct *t)
{
    bottomhalf_tasklet_unlock_spin_wait(t);
}

BOTTOMHALF_END

#endif
