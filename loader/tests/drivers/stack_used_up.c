/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Calls itself until the stack is used up. */
/* expect: 112 the stack of a context is used up */
#include "driver.h"

static volatile int depth = 1 << 30;

static int deeper(int left)
{
    volatile char frame[512];

    frame[0] = (char)left;
    return left ? deeper(left - 1) + frame[0] : 0;
}

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    (void)object;
    (void)path;
    return deeper(depth);
}
