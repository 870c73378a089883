/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Uses pool memory that it has given back. */
/* expect: 112 PAGE_FAULT_IN_FREED_SPECIAL_POOL(0xD5) */
#include "driver.h"

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    volatile int *block = ExAllocatePool2(0x40, 64, 0x74736574);

    (void)object;
    (void)path;
    if (!block)
        return STATUS_UNSUCCESSFUL;
    ExFreePoolWithTag((PVOID)block, 0x74736574);
    return *block;
}
