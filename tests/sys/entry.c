// SPDX-License-Identifier: MIT OR Apache-2.0
/* The entry stub of KMDF, and a driver that has nothing but a DriverEntry: all scenarios run in there. */
#define WdfFunctions WdfFunctions_01033
#include "../../loader/tests/drivers/driver.h"

/* What else WdfDriverEntry.lib has, and the mark of a compiler where a program computes with fractions. */
unsigned int WdfFunctionCount = 458;
int _fltused;

NTSTATUS conformance_main(PVOID driver);

/* A driver has to have one, or it cannot be unloaded. */
static void unload(PVOID driver)
{
    (void)driver;
}

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    WDF_DRIVER_CONFIG config = { sizeof(config), NULL, unload, 1, 0 };
    PVOID driver;
    NTSTATUS status = WdfDriverCreate(object, path, NULL, &config, &driver);

    return NT_SUCCESS(status) ? conformance_main(driver) : status;
}
