/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The CPU that runs the caller, and calls on other ones. */
#ifndef COMPAT_LINUX_SMP_H
#define COMPAT_LINUX_SMP_H

#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/preempt.h>
#include <linux/types.h>

unsigned int raw_smp_processor_id(void);
#define smp_processor_id() raw_smp_processor_id()

/* The caller stays on its CPU, at DISPATCH_LEVEL, until the matching put_cpu(). */
unsigned int get_cpu(void);
void put_cpu(void);

typedef void (*smp_call_func_t)(void *info);
/* Calls in a hard interrupt of that CPU; -ENXIO if there is none. Process context when `wait` is set. */
int smp_call_function_single(int cpu, smp_call_func_t func, void *info, int wait);

#endif
