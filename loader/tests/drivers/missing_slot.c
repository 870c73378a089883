/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Calls a WDF function that the mock does not have. */
/* expect: 111 SIM_UNSUPPORTED(WDF function 7) */
#include "driver.h"

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    (void)object;
    (void)path;
    return WDF(7, NTSTATUS (*)(PVOID, PVOID))(WdfDriverGlobals, NULL);
}
