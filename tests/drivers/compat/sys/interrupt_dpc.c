// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Hard interrupts of a machine that has none to spare: a DPC of the CPU, raised to the highest IRQL of a device.
 * For a .sys; on the simulated machine interrupt_host.c has the real ones, and the tests compile this one too.
 */
#include <linux/bug.h>

#include "../internal.h"

/* Interrupts that can be on their way at once. */
#define CALLS 32

struct call {
    KDPC dpc;
    void (*function)(void *context);
    void *context;
    unsigned int is_taken;
};

static struct call calls[CALLS];

static void call_raised(struct _KDPC *dpc, PVOID context, PVOID first, PVOID second)
{
    struct call *call = context;
    void (*function)(void *) = call->function;
    void *argument = call->context;
    KIRQL irql;

    (void)dpc, (void)first, (void)second;
    /* The DPC is off its queue, and this is the last use of the place. */
    __atomic_store_n(&call->is_taken, 0, __ATOMIC_RELEASE);
    irql = compat_raise(COMPAT_DEVICES_IRQL);
    function(argument);
    compat_lower(irql);
}

void compat_interrupt(unsigned int cpu, void (*function)(void *context), void *context)
{
    PROCESSOR_NUMBER number;
    unsigned int i = 0;

    while (i < CALLS && __atomic_exchange_n(&calls[i].is_taken, 1, __ATOMIC_ACQUIRE))
        i++;
    BUG_ON(i == CALLS || !NT_SUCCESS(KeGetProcessorNumberFromIndex(cpu, &number)));
    calls[i].function = function;
    calls[i].context = context;
    KeInitializeDpc(&calls[i].dpc, call_raised, &calls[i]);
    KeSetTargetProcessorDpcEx(&calls[i].dpc, &number);
    /* A DPC of medium importance that is for another CPU may wait for that one's next tick. */
    KeSetImportanceDpc(&calls[i].dpc, MediumHighImportance);
    KeInsertQueueDpc(&calls[i].dpc, NULL, NULL);
}
