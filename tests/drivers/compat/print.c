// SPDX-License-Identifier: MIT OR Apache-2.0
/* Messages, warnings, and printing into buffers. */
#include <stdarg.h>

#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/errno.h>
#include <linux/printk.h>
#include <linux/sprintf.h>
#include <linux/string.h>

#include "internal.h"

#define BUG_CHECK 0x4c4e5558u

static unsigned int warnings;

int printk(const char *fmt, ...)
{
    char line[256];
    va_list args;
    int length;

    if (fmt[0] == '<' && fmt[1] && fmt[2] == '>')
        fmt += 3;
    va_start(args, fmt);
    length = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    DbgPrint("%s", line);
    return length;
}

int scnprintf(char *buffer, size_t size, const char *fmt, ...)
{
    va_list args;
    int length;

    if (size == 0)
        return 0;
    va_start(args, fmt);
    length = vsnprintf(buffer, size, fmt, args);
    va_end(args);
    return length < (int)size ? length : (int)size - 1;
}

ssize_t strscpy(char *to, const char *from, size_t size)
{
    size_t length = strlen(from);

    if (size == 0)
        return -E2BIG;
    if (length < size) {
        memcpy(to, from, length + 1);
        return (ssize_t)length;
    }
    memcpy(to, from, size - 1);
    to[size - 1] = 0;
    return -E2BIG;
}

bool compat_warn(const char *file, int line, const char *what)
{
    __atomic_fetch_add(&warnings, 1, __ATOMIC_RELAXED);
    printk("WARNING: %s:%d: %s\n", file, line, what);
    return true;
}

unsigned int compat_warnings(void)
{
    return __atomic_load_n(&warnings, __ATOMIC_RELAXED);
}

void compat_bug(const char *file, int line)
{
    printk("BUG: %s:%d\n", file, line);
    KeBugCheckEx(BUG_CHECK, (ULONG_PTR)file, (ULONG_PTR)line, 0, 0);
}
