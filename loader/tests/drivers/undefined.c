/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Executes an undefined instruction. */
/* expect: 112 KMODE_EXCEPTION_NOT_HANDLED(0x1E,0xC000001D) */
#include "driver.h"

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    (void)object;
    (void)path;
    __asm__ volatile("ud2");
    return STATUS_UNSUCCESSFUL;
}
