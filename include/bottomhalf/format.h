/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The names of workqueues are printed here and not in the library, which takes no variable arguments. On
 * Windows that is _vsnprintf, which the kernel exports too; elsewhere it is vsnprintf. Internal.
 */
#ifndef BOTTOMHALF_FORMAT_H
#define BOTTOMHALF_FORMAT_H

#include <bottomhalf/compiler.h>
#include <stdarg.h>

#if !defined(__has_include)
#include <stdio.h>
#elif __has_include(<stdio.h>)
#include <stdio.h>
#elif defined(_WIN64)
BOTTOMHALF_BEGIN
int __cdecl _vsnprintf(char *buffer, size_t size, const char *format, va_list arguments);
BOTTOMHALF_END
#else
BOTTOMHALF_BEGIN
int vsnprintf(char *buffer, size_t size, const char *format, va_list arguments);
BOTTOMHALF_END
#endif

BOTTOMHALF_BEGIN

/*
 * A printed name. The library keeps 31 bytes and reports what is longer (BH23), so there is room for more
 * than that.
 */
struct bottomhalf_name {
    char text[64];
};

#if defined(_MSC_VER)
#pragma warning(push)
#pragma warning(disable : 4996)
#endif
/* NULL for no format; what is too long is cut off. */
static inline const char *bottomhalf_print_name(struct bottomhalf_name *name, const char *format,
                                                va_list arguments)
{
    if (!format)
        return NULL;
#if defined(_WIN64)
    (void)_vsnprintf(name->text, sizeof(name->text) - 1, format, arguments);
#else
    (void)vsnprintf(name->text, sizeof(name->text), format, arguments);
#endif
    name->text[sizeof(name->text) - 1] = '\0';
    return name->text;
}
#if defined(_MSC_VER)
#pragma warning(pop)
#endif

BOTTOMHALF_END

#endif
