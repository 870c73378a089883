/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests for the context of the caller. They answer from the IRQL and from what the engine runs on this CPU;
 * the documentation of bottomhalf::interrupt has the table. A spin lock of NT raises to DISPATCH_LEVEL, so
 * under one they answer as Linux does under spin_lock_bh().
 *
 * Names and interfaces are Linux's, so that drivers compile unchanged; nothing else is taken from it.
 */
#ifndef BOTTOMHALF_LINUX_PREEMPT_H
#define BOTTOMHALF_LINUX_PREEMPT_H

#include <bottomhalf/abi.h>

BOTTOMHALF_BEGIN

/*
 * Whether the caller is a tasklet or an interrupt, or has bottom halves off.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool in_interrupt(void)
{
    return bottomhalf_in_interrupt();
}

/*
 * Whether the caller is a tasklet, has bottom halves off, or has interrupted either.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool in_softirq(void)
{
    return bottomhalf_in_softirq();
}

/*
 * Whether the caller is a tasklet or a work of a WQ_BH queue, or has interrupted one.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool in_serving_softirq(void)
{
    return bottomhalf_in_serving_softirq();
}

/*
 * Whether the caller is an interrupt.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool in_hardirq(void)
{
    return bottomhalf_in_hardirq();
}

/*
 * The older name of in_hardirq().
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool in_irq(void)
{
    return bottomhalf_in_irq();
}

/*
 * Whether the caller is a thread, be it one with bottom halves off.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool in_task(void)
{
    return bottomhalf_in_task();
}

/*
 * Whether the caller may not sleep.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool in_atomic(void)
{
    return bottomhalf_in_atomic();
}

/*
 * Whether no interrupt of the caller's level comes in on this CPU.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline bool irqs_disabled(void)
{
    return bottomhalf_irqs_disabled();
}

BOTTOMHALF_END

#endif
