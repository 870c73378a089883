/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Uses an object that it has deleted. */
/* expect: 111 WDF_VIOLATION */
#include "driver.h"

static void function(PVOID dpc)
{
    (void)dpc;
}

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    WDF_DEFERRED_CONFIG config = { sizeof(config), function, 0 };
    WDF_OBJECT_ATTRIBUTES attributes;
    PVOID device, dpc;

    if (!NT_SUCCESS(create_device(object, path, NULL, &device)))
        return STATUS_UNSUCCESSFUL;
    attributes = child_of(device);
    if (!NT_SUCCESS(WdfDpcCreate(&config, &attributes, &dpc)))
        return STATUS_UNSUCCESSFUL;
    WdfObjectDelete(dpc);
    WdfDpcEnqueue(dpc);
    return STATUS_UNSUCCESSFUL;
}
