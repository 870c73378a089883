/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Writes to a constant of the image. */
/* expect: 112 ATTEMPTED_WRITE_TO_READONLY_MEMORY(0xBE) */
#include "driver.h"

static const int constant = 4;

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    (void)object;
    (void)path;
    *(volatile int *)(uintptr_t)&constant = 5;
    return STATUS_UNSUCCESSFUL;
}
