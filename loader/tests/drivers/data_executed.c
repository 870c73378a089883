/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Calls its own data. */
/* expect: 112 ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY(0xFC) */
#include "driver.h"

static char data[] = "\xC3";

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    void (*volatile function)(void) = (void (*)(void))data;

    (void)object;
    (void)path;
    function();
    return STATUS_UNSUCCESSFUL;
}
