/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Has a section that is writable and executable. */
/* expect: 113 section .text is writable and executable */
/* link: /section:.text,erw */
#include "driver.h"

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    PVOID device;

    return create_device(object, path, NULL, &device);
}
