/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Operations on single bits in arrays of longs. Those without two underscores are atomic. */
#ifndef COMPAT_LINUX_BITOPS_H
#define COMPAT_LINUX_BITOPS_H

#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/types.h>

static inline void set_bit(long nr, volatile unsigned long *addr)
{
    __atomic_fetch_or(&addr[BIT_WORD(nr)], BIT_MASK(nr), __ATOMIC_RELAXED);
}

static inline void clear_bit(long nr, volatile unsigned long *addr)
{
    __atomic_fetch_and(&addr[BIT_WORD(nr)], ~BIT_MASK(nr), __ATOMIC_RELAXED);
}

static inline void change_bit(long nr, volatile unsigned long *addr)
{
    __atomic_fetch_xor(&addr[BIT_WORD(nr)], BIT_MASK(nr), __ATOMIC_RELAXED);
}

static inline void clear_bit_unlock(long nr, volatile unsigned long *addr)
{
    __atomic_fetch_and(&addr[BIT_WORD(nr)], ~BIT_MASK(nr), __ATOMIC_RELEASE);
}

static inline bool test_bit(long nr, const volatile unsigned long *addr)
{
    return (__atomic_load_n(&addr[BIT_WORD(nr)], __ATOMIC_RELAXED) & BIT_MASK(nr)) != 0;
}

static inline bool test_and_set_bit(long nr, volatile unsigned long *addr)
{
    return (__atomic_fetch_or(&addr[BIT_WORD(nr)], BIT_MASK(nr), __ATOMIC_SEQ_CST) & BIT_MASK(nr)) != 0;
}

static inline bool test_and_clear_bit(long nr, volatile unsigned long *addr)
{
    return (__atomic_fetch_and(&addr[BIT_WORD(nr)], ~BIT_MASK(nr), __ATOMIC_SEQ_CST) & BIT_MASK(nr)) != 0;
}

static inline bool test_and_set_bit_lock(long nr, volatile unsigned long *addr)
{
    return (__atomic_fetch_or(&addr[BIT_WORD(nr)], BIT_MASK(nr), __ATOMIC_ACQUIRE) & BIT_MASK(nr)) != 0;
}

static inline void __set_bit(long nr, volatile unsigned long *addr)
{
    addr[BIT_WORD(nr)] |= BIT_MASK(nr);
}

static inline void __clear_bit(long nr, volatile unsigned long *addr)
{
    addr[BIT_WORD(nr)] &= ~BIT_MASK(nr);
}

static inline bool __test_and_set_bit(long nr, volatile unsigned long *addr)
{
    bool was = test_bit(nr, addr);

    __set_bit(nr, addr);
    return was;
}

static inline bool __test_and_clear_bit(long nr, volatile unsigned long *addr)
{
    bool was = test_bit(nr, addr);

    __clear_bit(nr, addr);
    return was;
}

/* The first bit that is set, from `offset` on; `size` if there is none. */
static inline unsigned long find_next_bit(const unsigned long *addr, unsigned long size, unsigned long offset)
{
    while (offset < size && !test_bit((long)offset, addr))
        offset++;
    return offset < size ? offset : size;
}

static inline unsigned long find_next_zero_bit(const unsigned long *addr, unsigned long size,
                                               unsigned long offset)
{
    while (offset < size && test_bit((long)offset, addr))
        offset++;
    return offset < size ? offset : size;
}

#define find_first_bit(addr, size) find_next_bit(addr, size, 0)
#define find_first_zero_bit(addr, size) find_next_zero_bit(addr, size, 0)
#define for_each_set_bit(bit, addr, size)                                                                    \
    for ((bit) = find_first_bit(addr, size); (bit) < (size); (bit) = find_next_bit(addr, size, (bit) + 1))

#if !defined(_STRINGS_H) && !defined(_STRING_H)
static inline int ffs(int x)
{
    return __builtin_ffs(x);
}
#endif

static inline int fls(unsigned int x)
{
    return x ? 32 - __builtin_clz(x) : 0;
}

static inline unsigned long __ffs(unsigned long x)
{
    return (unsigned long)__builtin_ctzl(x);
}

static inline unsigned int hweight32(u32 x)
{
    return (unsigned int)__builtin_popcount(x);
}

static inline unsigned int hweight64(u64 x)
{
    return (unsigned int)__builtin_popcountll(x);
}

#define hweight8(x) hweight32((u8)(x))
#define hweight16(x) hweight32((u16)(x))
#define hweight_long(x) hweight64(x)
#define smp_mb__before_clear_bit() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_mb__after_clear_bit() __atomic_thread_fence(__ATOMIC_SEQ_CST)

#endif
