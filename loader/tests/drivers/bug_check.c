/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stops the machine. */
/* expect: 111 MANUALLY_INITIATED_CRASH(0xE2): KeBugCheckEx(0xe2, 0x1, 0x2, 0x3, 0x4) */
#include "driver.h"

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    (void)object;
    (void)path;
    KeBugCheckEx(0xE2, 1, 2, 3, 4);
}
