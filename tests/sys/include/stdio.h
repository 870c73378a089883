/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What drivers use of C's header of this name; clang has none of its own. */
#ifndef SYS_STDIO_H
#define SYS_STDIO_H

#include <stdarg.h>
#include <stddef.h>

int _vsnprintf(char *buffer, size_t size, const char *format, va_list arguments);
int vsnprintf(char *buffer, size_t size, const char *format, va_list arguments);
int snprintf(char *buffer, size_t size, const char *format, ...);

#endif
