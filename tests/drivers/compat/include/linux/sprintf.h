/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Printing into buffers. */
#ifndef COMPAT_LINUX_SPRINTF_H
#define COMPAT_LINUX_SPRINTF_H

#include <stdarg.h>

#include <linux/compiler.h>
#include <linux/types.h>

#ifdef __MINGW32__
/* Has them as inline functions, which a declaration must not come before. */
#include <stdio.h>
#else
int sprintf(char *buffer, const char *fmt, ...) __printf(2, 3);
int snprintf(char *buffer, size_t size, const char *fmt, ...) __printf(3, 4);
int vsnprintf(char *buffer, size_t size, const char *fmt, va_list args) __printf(3, 0);
#endif
/* The number of letters that were written, without the end. */
int scnprintf(char *buffer, size_t size, const char *fmt, ...) __printf(3, 4);

#endif
