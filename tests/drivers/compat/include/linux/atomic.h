/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Atomic integers and barriers. Those that return a value, and the conditional ones that succeed, are full
 * barriers, as everywhere in Linux; the others order nothing.
 */
#ifndef COMPAT_LINUX_ATOMIC_H
#define COMPAT_LINUX_ATOMIC_H

#include <asm/barrier.h>
#include <linux/compiler.h>
#include <linux/types.h>

typedef struct {
    s64 counter;
} atomic64_t;

#ifndef ATOMIC_INIT
#define ATOMIC_INIT(i)                                                                                       \
    {                                                                                                        \
        (i)                                                                                                  \
    }
#endif
#define ATOMIC64_INIT(i) ATOMIC_INIT(i)
#define ATOMIC_LONG_INIT(i) ATOMIC_INIT(i)

/* The operations of one type, the prefix of whose names is `p`. */
#define COMPAT_ATOMIC(p, type, value)                                                                        \
    static inline value p##_read(const type *v)                                                              \
    {                                                                                                        \
        return (value)__atomic_load_n(&v->counter, __ATOMIC_RELAXED);                                        \
    }                                                                                                        \
    static inline value p##_read_acquire(const type *v)                                                      \
    {                                                                                                        \
        return (value)__atomic_load_n(&v->counter, __ATOMIC_ACQUIRE);                                        \
    }                                                                                                        \
    static inline void p##_set(type *v, value i)                                                             \
    {                                                                                                        \
        __atomic_store_n(&v->counter, i, __ATOMIC_RELAXED);                                                  \
    }                                                                                                        \
    static inline void p##_set_release(type *v, value i)                                                     \
    {                                                                                                        \
        __atomic_store_n(&v->counter, i, __ATOMIC_RELEASE);                                                  \
    }                                                                                                        \
    static inline value p##_fetch_add(value i, type *v)                                                      \
    {                                                                                                        \
        return (value)__atomic_fetch_add(&v->counter, i, __ATOMIC_SEQ_CST);                                  \
    }                                                                                                        \
    static inline value p##_add_return(value i, type *v)                                                     \
    {                                                                                                        \
        return (value)__atomic_add_fetch(&v->counter, i, __ATOMIC_SEQ_CST);                                  \
    }                                                                                                        \
    static inline value p##_sub_return(value i, type *v)                                                     \
    {                                                                                                        \
        return (value)__atomic_sub_fetch(&v->counter, i, __ATOMIC_SEQ_CST);                                  \
    }                                                                                                        \
    static inline value p##_inc_return(type *v)                                                              \
    {                                                                                                        \
        return p##_add_return(1, v);                                                                         \
    }                                                                                                        \
    static inline value p##_dec_return(type *v)                                                              \
    {                                                                                                        \
        return p##_sub_return(1, v);                                                                         \
    }                                                                                                        \
    static inline void p##_add(value i, type *v)                                                             \
    {                                                                                                        \
        __atomic_fetch_add(&v->counter, i, __ATOMIC_RELAXED);                                                \
    }                                                                                                        \
    static inline void p##_sub(value i, type *v)                                                             \
    {                                                                                                        \
        __atomic_fetch_sub(&v->counter, i, __ATOMIC_RELAXED);                                                \
    }                                                                                                        \
    static inline void p##_inc(type *v)                                                                      \
    {                                                                                                        \
        p##_add(1, v);                                                                                       \
    }                                                                                                        \
    static inline void p##_dec(type *v)                                                                      \
    {                                                                                                        \
        p##_sub(1, v);                                                                                       \
    }                                                                                                        \
    static inline void p##_or(value i, type *v)                                                              \
    {                                                                                                        \
        __atomic_fetch_or(&v->counter, i, __ATOMIC_RELAXED);                                                 \
    }                                                                                                        \
    static inline void p##_and(value i, type *v)                                                             \
    {                                                                                                        \
        __atomic_fetch_and(&v->counter, i, __ATOMIC_RELAXED);                                                \
    }                                                                                                        \
    static inline bool p##_dec_and_test(type *v)                                                             \
    {                                                                                                        \
        return p##_dec_return(v) == 0;                                                                       \
    }                                                                                                        \
    static inline bool p##_inc_and_test(type *v)                                                             \
    {                                                                                                        \
        return p##_inc_return(v) == 0;                                                                       \
    }                                                                                                        \
    static inline bool p##_sub_and_test(value i, type *v)                                                    \
    {                                                                                                        \
        return p##_sub_return(i, v) == 0;                                                                    \
    }                                                                                                        \
    static inline bool p##_add_negative(value i, type *v)                                                    \
    {                                                                                                        \
        return p##_add_return(i, v) < 0;                                                                     \
    }                                                                                                        \
    static inline value p##_xchg(type *v, value i)                                                           \
    {                                                                                                        \
        return (value)__atomic_exchange_n(&v->counter, i, __ATOMIC_SEQ_CST);                                 \
    }                                                                                                        \
    static inline value p##_cmpxchg(type *v, value expected, value i)                                        \
    {                                                                                                        \
        __typeof__(v->counter) was = expected;                                                               \
                                                                                                             \
        __atomic_compare_exchange_n(&v->counter, &was, i, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);            \
        return (value)was;                                                                                   \
    }                                                                                                        \
    static inline bool p##_add_unless(type *v, value i, value unless)                                        \
    {                                                                                                        \
        value was = p##_read(v);                                                                             \
                                                                                                             \
        while (was != unless) {                                                                              \
            value now = p##_cmpxchg(v, was, was + i);                                                        \
                                                                                                             \
            if (now == was)                                                                                  \
                return true;                                                                                 \
            was = now;                                                                                       \
        }                                                                                                    \
        return false;                                                                                        \
    }                                                                                                        \
    static inline bool p##_inc_not_zero(type *v)                                                             \
    {                                                                                                        \
        return p##_add_unless(v, 1, 0);                                                                      \
    }

COMPAT_ATOMIC(atomic, atomic_t, int)
COMPAT_ATOMIC(atomic64, atomic64_t, s64)
COMPAT_ATOMIC(atomic_long, atomic_long_t, long)

#define smp_mb__before_atomic() smp_mb()
#define smp_mb__after_atomic() smp_mb()

#define xchg(ptr, value) __atomic_exchange_n(ptr, value, __ATOMIC_SEQ_CST)
#define cmpxchg(ptr, expected, value)                                                                        \
    ({                                                                                                       \
        __typeof__(*(ptr)) compat_was = (expected);                                                          \
        __atomic_compare_exchange_n(ptr, &compat_was, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);         \
        compat_was;                                                                                          \
    })

#endif
