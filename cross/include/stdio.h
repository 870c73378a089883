/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Of the WDK's header of this name: what the headers of bottomhalf call. ntoskrnl exports _vsnprintf only. */
#ifndef STAND_IN_STDIO_H
#define STAND_IN_STDIO_H

#include <stdarg.h>
#include <stddef.h>

int _vsnprintf(char *buffer, size_t size, const char *format, va_list arguments);
int vsnprintf(char *buffer, size_t size, const char *format, va_list arguments);

#endif
