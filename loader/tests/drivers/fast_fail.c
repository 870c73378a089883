/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fails fast, as a check of a list or of a stack does. */
/* expect: 112 KERNEL_SECURITY_CHECK_FAILURE(0x139) */
#include "driver.h"

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    (void)object;
    (void)path;
    __asm__ volatile("int $0x29" : : "c"(2));
    return STATUS_UNSUCCESSFUL;
}
