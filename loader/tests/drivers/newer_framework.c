/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Was built for a newer framework. */
/* expect: 111 SIM_DRIVER_REFUSED: the driver's entry point returned 0xc0000059 */
/* link: /entry:DriverEntry */
#include "driver.h"

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    bind_info.Minor = 34;
    return WdfVersionBind(object, path, &bind_info, &WdfDriverGlobals);
}
