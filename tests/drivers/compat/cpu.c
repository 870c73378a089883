// SPDX-License-Identifier: MIT OR Apache-2.0
/* The CPUs of the machine, and calls on other ones. */
#include <linux/delay.h>
#include <linux/smp.h>

#include "internal.h"

unsigned int raw_smp_processor_id(void)
{
    return KeGetCurrentProcessorNumberEx(NULL);
}

unsigned int num_online_cpus(void)
{
    return KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS);
}

unsigned int num_possible_cpus(void)
{
    return KeQueryMaximumProcessorCountEx(ALL_PROCESSOR_GROUPS);
}

const struct cpumask *cpumask_of(unsigned int cpu)
{
    static struct cpumask single[COMPAT_CPUS];

    /* Everybody who comes here writes the same. */
    __atomic_store_n(&single[cpu].bits, (u64)1 << cpu, __ATOMIC_RELAXED);
    return &single[cpu];
}

struct remote_call {
    smp_call_func_t func;
    void *info;
    unsigned int is_done;
};

static void call_remotely(void *context)
{
    struct remote_call *call = context;

    call->func(call->info);
    __atomic_store_n(&call->is_done, 1, __ATOMIC_RELEASE);
}

int smp_call_function_single(int cpu, smp_call_func_t func, void *info, int wait)
{
    struct remote_call call = {func, info, 0};

    if (cpu < 0 || !cpu_online((unsigned int)cpu))
        return -ENXIO;
    if (!wait) {
        compat_interrupt((unsigned int)cpu, func, info);
        return 0;
    }
    compat_interrupt((unsigned int)cpu, call_remotely, &call);
    while (!__atomic_load_n(&call.is_done, __ATOMIC_ACQUIRE))
        cpu_relax();
    return 0;
}
