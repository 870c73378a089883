/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Hints and attributes of the compiler, and plain accesses that it may not merge or repeat. */
#ifndef COMPAT_LINUX_COMPILER_H
#define COMPAT_LINUX_COMPILER_H

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define barrier() __asm__ __volatile__("" : : : "memory")

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, val)                                                                                   \
    do {                                                                                                     \
        *(volatile __typeof__(x) *)&(x) = (val);                                                             \
    } while (0)
#define data_race(expr) (expr)

#ifndef __always_inline
#define __always_inline inline __attribute__((__always_inline__))
#endif
#define noinline __attribute__((__noinline__))
#ifndef __must_check
#define __must_check __attribute__((__warn_unused_result__))
#endif
#define __maybe_unused __attribute__((__unused__))
#define __always_unused __attribute__((__unused__))
#ifndef __used
#define __used __attribute__((__used__))
#endif
#ifndef __packed
#define __packed __attribute__((__packed__))
#endif
#ifndef __aligned
#define __aligned(x) __attribute__((__aligned__(x)))
#endif
#define __cold __attribute__((__cold__))
#define __pure __attribute__((__pure__))
#ifndef __printf
#ifdef __MINGW32__
/* What NT's printing understands, z among it, is not what MinGW thinks of as printf. */
#define __printf(a, b) __attribute__((__format__(gnu_printf, a, b)))
#else
#define __printf(a, b) __attribute__((__format__(printf, a, b)))
#endif
#endif
#ifndef fallthrough
#define fallthrough __attribute__((__fallthrough__))
#endif

/* What sparse and the linker script of a kernel look at means nothing here. */
#define __iomem
#define __user
#define __kernel
#define __force
#define __rcu
#define __percpu
#define __bitwise
#define __acquires(x)
#define __releases(x)
#define __must_hold(x)
#define __read_mostly
#define __ro_after_init

#define __same_type(a, b) __builtin_types_compatible_p(__typeof__(a), __typeof__(b))
#define BUILD_BUG_ON(condition) ((void)sizeof(char[1 - 2 * !!(condition)]))
#define BUILD_BUG_ON_MSG(condition, text) BUILD_BUG_ON(condition)
#ifndef static_assert
#define static_assert(condition, ...) _Static_assert(condition, #condition)
#endif

/* Passes a little time inside a loop that waits for another CPU. */
void cpu_relax(void);

#endif
