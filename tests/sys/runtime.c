// SPDX-License-Identifier: MIT OR Apache-2.0
/* What the scenarios use of C's library and ntoskrnl.exe does not export under these names. */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* What was cut off is as long as the buffer, for it is not known how long it is. */
int vsnprintf(char *buffer, size_t size, const char *format, va_list arguments)
{
    int length = size ? _vsnprintf(buffer, size, format, arguments) : 0;

    if (length >= 0 && (size_t)length < size)
        return length;
    if (size)
        buffer[size - 1] = 0;
    return (int)size;
}

int snprintf(char *buffer, size_t size, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(buffer, size, format, arguments);
    va_end(arguments);
    return length;
}

char *strchr(const char *text, int letter)
{
    for (; *text != (char)letter; text++) {
        if (!*text)
            return NULL;
    }
    return (char *)text;
}

int strncmp(const char *a, const char *b, size_t size)
{
    for (; size; size--, a++, b++) {
        if (*a != *b || !*a)
            return (unsigned char)*a - (unsigned char)*b;
    }
    return 0;
}
