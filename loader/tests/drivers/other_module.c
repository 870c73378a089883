/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Imports from a module that is no part of the kernel. */
/* expect: 113 OtherFunction is imported from other.dll */
#include "driver.h"

IMPORT void OtherFunction(void);

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    (void)object;
    (void)path;
    OtherFunction();
    return STATUS_SUCCESS;
}
