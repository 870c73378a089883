/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Calls a function that the loader does not have. */
/* expect: 111 SIM_UNRESOLVED_IMPORT(ntoskrnl.exe!MissingFunction) */
#include "driver.h"

IMPORT void MissingFunction(void);

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    (void)object;
    (void)path;
    MissingFunction();
    return STATUS_SUCCESS;
}
