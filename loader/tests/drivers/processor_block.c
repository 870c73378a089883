/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reads a member of the processor block that the loader does not have. */
/* expect: 112 PAGE_FAULT_IN_NONPAGED_AREA(0x50) */
#include "driver.h"

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    uint64_t value;

    (void)object;
    (void)path;
    __asm__ volatile("movq %%gs:0x190, %0" : "=r"(value));
    return (NTSTATUS)value;
}
