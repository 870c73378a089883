/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Bottom halves off and on. They are the tasklets of a CPU and the works of its WQ_BH queues, and they are
 * off while the IRQL is DISPATCH_LEVEL or above.
 *
 * Names and interfaces are Linux's, so that drivers compile unchanged; nothing else is taken from it.
 */
#ifndef BOTTOMHALF_LINUX_BOTTOM_HALF_H
#define BOTTOMHALF_LINUX_BOTTOM_HALF_H

#include <bottomhalf/abi.h>

BOTTOMHALF_BEGIN

/*
 * Turns the bottom halves of this CPU off. The caller stays on it, at DISPATCH_LEVEL, until the matching
 * local_bh_enable(). It nests, in the order of the locks taken meanwhile. Not attached (BH03), or in an
 * interrupt (BH17), it does nothing.
 *
 * IRQL: <= DISPATCH. Does not block.
 */
BOTTOMHALF_IRQL_DISPATCH
static inline void local_bh_disable(void)
{
    bottomhalf_local_bh_disable();
}

/*
 * Takes one local_bh_disable() back. The outermost runs what is scheduled on this CPU before it returns.
 * Without a disable, or in an interrupt, it does nothing (BH17).
 *
 * IRQL: <= DISPATCH. Does not block.
 */
BOTTOMHALF_IRQL_DISPATCH
static inline void local_bh_enable(void)
{
    bottomhalf_local_bh_enable();
}

BOTTOMHALF_END

#endif
