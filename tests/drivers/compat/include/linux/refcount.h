/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counts of references. A count that falls below zero, or rises from it, is a warning. */
#ifndef COMPAT_LINUX_REFCOUNT_H
#define COMPAT_LINUX_REFCOUNT_H

#include <linux/atomic.h>
#include <linux/bug.h>

typedef struct {
    atomic_t refs;
} refcount_t;

#define REFCOUNT_INIT(n)                                                                                     \
    {                                                                                                        \
        ATOMIC_INIT(n)                                                                                       \
    }

static inline void refcount_set(refcount_t *r, int n)
{
    atomic_set(&r->refs, n);
}

static inline unsigned int refcount_read(const refcount_t *r)
{
    return (unsigned int)atomic_read(&r->refs);
}

static inline void refcount_inc(refcount_t *r)
{
    WARN_ON(atomic_inc_return(&r->refs) <= 1);
}

static inline bool refcount_inc_not_zero(refcount_t *r)
{
    return atomic_inc_not_zero(&r->refs);
}

static inline bool refcount_dec_and_test(refcount_t *r)
{
    int left = atomic_dec_return(&r->refs);

    WARN_ON(left < 0);
    return left == 0;
}

#endif
