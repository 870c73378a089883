/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sets of CPUs, of which there are 64 at most. */
#ifndef COMPAT_LINUX_CPUMASK_H
#define COMPAT_LINUX_CPUMASK_H

#include <linux/types.h>

struct cpumask {
    u64 bits;
};

typedef struct cpumask cpumask_t;
typedef struct cpumask cpumask_var_t[1];

unsigned int num_online_cpus(void);
unsigned int num_possible_cpus(void);
#define nr_cpu_ids num_possible_cpus()

static inline bool cpu_online(unsigned int cpu)
{
    return cpu < num_online_cpus();
}

/* The set of that CPU alone. */
const struct cpumask *cpumask_of(unsigned int cpu);

static inline bool cpumask_test_cpu(unsigned int cpu, const struct cpumask *mask)
{
    return (mask->bits >> cpu & 1) != 0;
}

static inline void cpumask_set_cpu(unsigned int cpu, struct cpumask *mask)
{
    mask->bits |= (u64)1 << cpu;
}

static inline void cpumask_clear(struct cpumask *mask)
{
    mask->bits = 0;
}

#define for_each_online_cpu(cpu) for ((cpu) = 0; (unsigned int)(cpu) < num_online_cpus(); (cpu)++)
#define for_each_possible_cpu(cpu) for ((cpu) = 0; (unsigned int)(cpu) < num_possible_cpus(); (cpu)++)

#endif
