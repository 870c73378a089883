/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Barriers between the CPUs. */
#ifndef COMPAT_ASM_BARRIER_H
#define COMPAT_ASM_BARRIER_H

#include <linux/compiler.h>

#define mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#define smp_load_acquire(ptr) __atomic_load_n(ptr, __ATOMIC_ACQUIRE)
#define smp_store_release(ptr, value) __atomic_store_n(ptr, value, __ATOMIC_RELEASE)
#define smp_store_mb(variable, value) __atomic_store_n(&(variable), value, __ATOMIC_SEQ_CST)

#endif
