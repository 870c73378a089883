/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Takes a spin lock that it holds. */
/* expect: 111 DV(0xC4,0x1000): a spin lock is acquired on the CPU that holds it */
#include "driver.h"

static uint64_t lock;

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    (void)object;
    (void)path;
    KeInitializeSpinLock(&lock);
    KeAcquireSpinLockRaiseToDpc(&lock);
    KeAcquireSpinLockRaiseToDpc(&lock);
    return STATUS_UNSUCCESSFUL;
}
