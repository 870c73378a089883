/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Was built for a function table of another length. */
/* expect: 111 SIM_BAD_BIND */
/* link: /entry:DriverEntry */
#include "driver.h"

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    bind_info.FuncCount = 457;
    return WdfVersionBind(object, path, &bind_info, &WdfDriverGlobals);
}
