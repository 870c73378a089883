/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Unloads without leaving the framework. */
/* expect: 111 SIM_NEVER_UNBOUND */
/* link: /entry:DriverEntry */
#include "driver.h"

static void (*framework)(DRIVER_OBJECT *object);

static void unload_alone(DRIVER_OBJECT *object)
{
    framework(object);
}

static void unload(PVOID driver)
{
    (void)driver;
}

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    PVOID device;
    NTSTATUS status;

    status = WdfVersionBind(object, path, &bind_info, &WdfDriverGlobals);
    if (!NT_SUCCESS(status))
        return status;
    status = create_device(object, path, unload, &device);
    framework = object->DriverUnload;
    object->DriverUnload = unload_alone;
    return status;
}
