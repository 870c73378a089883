/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Imports a function that the loader does not have, and does not call it. */
/* expect: 0 not called */
#include "driver.h"

IMPORT void MissingFunction(void);
static volatile int call;

static void unload(PVOID driver)
{
    (void)driver;
    DbgPrint("not called\n");
}

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    PVOID device;

    if (call)
        MissingFunction();
    return create_device(object, path, unload, &device);
}
