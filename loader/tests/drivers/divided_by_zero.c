/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Divides by zero. */
/* expect: 112 KMODE_EXCEPTION_NOT_HANDLED(0x1E,0xC0000094) */
#include "driver.h"

static volatile int zero;

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    (void)object;
    (void)path;
    return 100 / zero;
}
