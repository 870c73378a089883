/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The begin and the end of the environment, for whoever loads a driver into it. */
#ifndef COMPAT_H
#define COMPAT_H

#include <linux/types.h>

/* PASSIVE_LEVEL, before the first call into the environment. 0, or -ENOMEM. */
int compat_init(void);
/*
 * PASSIVE_LEVEL, after the last call into the environment: waits for its threads and timers. How many blocks
 * of kmalloc() have not been freed.
 */
unsigned int compat_exit(void);

/* Blocks of kmalloc() and its kin that have not been freed. */
unsigned int compat_allocations(void);
/* Lets the allocation that is `nth` from now, from 1, fail; that one only. */
void compat_fail_allocation(unsigned int nth);

#endif
