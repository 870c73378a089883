/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Errors that travel in pointers: the last 4095 addresses are none. */
#ifndef COMPAT_LINUX_ERR_H
#define COMPAT_LINUX_ERR_H

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/types.h>

#define MAX_ERRNO 4095
#define IS_ERR_VALUE(x) unlikely((uintptr_t)(x) >= (uintptr_t)-MAX_ERRNO)

static inline void *__must_check ERR_PTR(long error)
{
    return (void *)(intptr_t)error;
}

static inline long __must_check PTR_ERR(const void *ptr)
{
    return (long)(intptr_t)ptr;
}

static inline bool __must_check IS_ERR(const void *ptr)
{
    return IS_ERR_VALUE(ptr);
}

static inline bool __must_check IS_ERR_OR_NULL(const void *ptr)
{
    return !ptr || IS_ERR_VALUE(ptr);
}

static inline void *__must_check ERR_CAST(const void *ptr)
{
    return (void *)(uintptr_t)ptr;
}

static inline int __must_check PTR_ERR_OR_ZERO(const void *ptr)
{
    return IS_ERR(ptr) ? (int)PTR_ERR(ptr) : 0;
}

#endif
