/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Does not give its pool memory back. */
/* expect: 111 DV(0xC4,0x62) */
#include "driver.h"

static void unload(PVOID driver)
{
    (void)driver;
}

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    PVOID device;

    ExAllocatePool2(0x40, 64, 0x74736574);
    return create_device(object, path, unload, &device);
}
