/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The smaller and the larger of two values, each of which is evaluated once. */
#ifndef COMPAT_LINUX_MINMAX_H
#define COMPAT_LINUX_MINMAX_H

#define min(a, b)                                                                                            \
    ({                                                                                                       \
        __typeof__(a) compat_a = (a);                                                                        \
        __typeof__(b) compat_b = (b);                                                                        \
        compat_a < compat_b ? compat_a : compat_b;                                                           \
    })
#define max(a, b)                                                                                            \
    ({                                                                                                       \
        __typeof__(a) compat_a = (a);                                                                        \
        __typeof__(b) compat_b = (b);                                                                        \
        compat_a > compat_b ? compat_a : compat_b;                                                           \
    })
#define min_t(type, a, b) min((type)(a), (type)(b))
#define max_t(type, a, b) max((type)(a), (type)(b))
#define clamp(value, low, high) min(max(value, low), high)
#define clamp_t(type, value, low, high) min_t(type, max_t(type, value, low), high)
#define swap(a, b)                                                                                           \
    do {                                                                                                     \
        __typeof__(a) compat_swap = (a);                                                                     \
        (a) = (b);                                                                                           \
        (b) = compat_swap;                                                                                   \
    } while (0)

#endif
