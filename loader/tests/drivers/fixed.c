/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Cannot be placed where NT wants it. */
/* expect: 113 the relocations are stripped */
/* link: /fixed /dynamicbase:no */
#include "driver.h"

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    PVOID device;

    return create_device(object, path, NULL, &device);
}
