/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Passes a configuration of another size. */
/* expect: 111 SIM_DRIVER_REFUSED: the driver's entry point returned 0xc0000004 */
#include "driver.h"

static void function(PVOID dpc)
{
    (void)dpc;
}

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    WDF_DEFERRED_CONFIG config = { sizeof(config) + 8, function, 0 };
    WDF_OBJECT_ATTRIBUTES attributes;
    PVOID device, dpc;
    NTSTATUS status;

    status = create_device(object, path, NULL, &device);
    if (!NT_SUCCESS(status))
        return status;
    attributes = child_of(device);
    return WdfDpcCreate(&config, &attributes, &dpc);
}
