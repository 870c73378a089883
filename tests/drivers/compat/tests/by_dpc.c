// SPDX-License-Identifier: MIT OR Apache-2.0
/* Tests of the interrupts of a .sys, under another name than those that the rest of the tests has. */
#define compat_interrupt compat_interrupt_by_dpc
#include "../sys/interrupt_dpc.c"

#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/smp.h>

#include "compat_tests.h"

static atomic_t runs[4];
static atomic_t wrong;

static void tell(void *cpu)
{
    if (!in_hardirq() || in_task() || smp_processor_id() != (uintptr_t)cpu)
        atomic_inc(&wrong);
    atomic_inc(&runs[(uintptr_t)cpu]);
}

const char *test_interrupt_by_dpc(void)
{
    uintptr_t cpu;
    int i;

    atomic_set(&wrong, 0);
    for (cpu = 0; cpu < 4; cpu++)
        atomic_set(&runs[cpu], 0);
    for (i = 0; i < 8; i++) {
        for (cpu = 0; cpu < 4; cpu++)
            compat_interrupt((unsigned int)cpu, tell, (void *)cpu);
    }
    msleep(20);
    for (cpu = 0; cpu < 4; cpu++)
        EXPECT(atomic_read(&runs[cpu]) == 8);
    EXPECT(atomic_read(&wrong) == 0 && !in_interrupt());
    return NULL;
}
