/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Leaves a thread behind. */
/* expect: 111 DRIVER_UNLOADED_PENDING(0xCE) */
#include "driver.h"

static KEVENT never;

static void thread(PVOID context)
{
    KeWaitForSingleObject(context, 0, 0, 0, NULL);
}

static void unload(PVOID driver)
{
    (void)driver;
}

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    PVOID device, handle;

    KeInitializeEvent(&never, 0, 0);
    if (!NT_SUCCESS(create_device(object, path, unload, &device)))
        return STATUS_UNSUCCESSFUL;
    if (!NT_SUCCESS(PsCreateSystemThread(&handle, 0x1FFFFF, NULL, NULL, NULL, thread, &never)))
        return STATUS_UNSUCCESSFUL;
    ZwClose(handle);
    return STATUS_SUCCESS;
}
