/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Has a callback at another offset than the framework's headers. */
/* expect: 111 SIM_BAD_CALLBACK */
#include "driver.h"

static void function(PVOID dpc)
{
    (void)dpc;
}

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    struct {
        ULONG Size;
        uint64_t AutomaticSerialization;
        void (*EvtDpcFunc)(PVOID dpc);
    } config = { sizeof(config), 1, function };
    WDF_OBJECT_ATTRIBUTES attributes;
    PVOID device, dpc;
    NTSTATUS status;

    status = create_device(object, path, NULL, &device);
    if (!NT_SUCCESS(status))
        return status;
    attributes = child_of(device);
    return WdfDpcCreate((WDF_DEFERRED_CONFIG *)&config, &attributes, &dpc);
}
