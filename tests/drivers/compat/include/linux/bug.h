/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Conditions that must not be. A warning is counted and printed; BUG ends the machine. */
#ifndef COMPAT_LINUX_BUG_H
#define COMPAT_LINUX_BUG_H

#include <linux/compiler.h>
#include <linux/printk.h>
#include <linux/types.h>

bool compat_warn(const char *file, int line, const char *what);
void compat_bug(const char *file, int line) __attribute__((__noreturn__));
/* How many warnings there were. */
unsigned int compat_warnings(void);

#define BUG() compat_bug(__FILE__, __LINE__)
#define BUG_ON(condition)                                                                                    \
    do {                                                                                                     \
        if (unlikely(condition))                                                                             \
            BUG();                                                                                           \
    } while (0)

static inline bool compat_warn_if(bool condition, const char *file, int line, const char *what)
{
    return unlikely(condition) && compat_warn(file, line, what);
}

#define WARN_ON(condition) compat_warn_if(!!(condition), __FILE__, __LINE__, #condition)
#define WARN(condition, ...)                                                                                 \
    ({                                                                                                       \
        bool compat_condition = !!(condition);                                                               \
        if (compat_condition)                                                                                \
            printk(__VA_ARGS__);                                                                             \
        compat_warn_if(compat_condition, __FILE__, __LINE__, #condition);                                    \
    })
#define WARN_ON_ONCE(condition)                                                                              \
    ({                                                                                                       \
        static bool compat_warned;                                                                           \
        bool compat_condition = !!(condition);                                                               \
        if (compat_condition && !compat_warned) {                                                            \
            compat_warned = true;                                                                            \
            compat_warn(__FILE__, __LINE__, #condition);                                                     \
        }                                                                                                    \
        unlikely(compat_condition);                                                                          \
    })
#define WARN_ONCE(condition, ...) WARN_ON_ONCE(condition)

#endif
