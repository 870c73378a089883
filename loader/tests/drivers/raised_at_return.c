/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Returns from a work item at another IRQL. */
/* expect: 111 WORKER_THREAD_RETURNED_AT_BAD_IRQL(0xE1) */
#include "driver.h"

static void work(PVOID item)
{
    (void)item;
    KfRaiseIrql(2);
}

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    WDF_DEFERRED_CONFIG config = { sizeof(config), work, 0 };
    WDF_OBJECT_ATTRIBUTES attributes;
    PVOID device, item;

    if (!NT_SUCCESS(create_device(object, path, NULL, &device)))
        return STATUS_UNSUCCESSFUL;
    attributes = child_of(device);
    if (!NT_SUCCESS(WdfWorkItemCreate(&config, &attributes, &item)))
        return STATUS_UNSUCCESSFUL;
    WdfWorkItemEnqueue(item);
    WdfWorkItemFlush(item);
    return STATUS_UNSUCCESSFUL;
}
