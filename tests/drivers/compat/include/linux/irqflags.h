/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Interrupts of this CPU off and on: the highest IRQL of a device, and back. */
#ifndef COMPAT_LINUX_IRQFLAGS_H
#define COMPAT_LINUX_IRQFLAGS_H

#include <linux/preempt.h>
#include <linux/types.h>

unsigned long compat_local_irq_save(void);
void local_irq_restore(unsigned long flags);
void local_irq_disable(void);
void local_irq_enable(void);

#define local_irq_save(flags)                                                                                \
    do {                                                                                                     \
        (flags) = compat_local_irq_save();                                                                   \
    } while (0)

#endif
