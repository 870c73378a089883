/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Never gives the CPU back. */
/* expect: 112 the run takes longer than its limit */
/* options: --limit 2 */
/* engines: sim */
#include "driver.h"

static volatile int stop;

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    (void)object;
    (void)path;
    while (!stop)
        ;
    return STATUS_UNSUCCESSFUL;
}
