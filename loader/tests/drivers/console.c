/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Is a program for the console. */
/* expect: 113 subsystem 3 is not native (1) */
/* link: /subsystem:console */
#include "driver.h"

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    PVOID device;

    return create_device(object, path, NULL, &device);
}
