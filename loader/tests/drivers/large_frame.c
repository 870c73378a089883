/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Has a frame of more than a page, for which the compiler calls __chkstk. */
/* expect: 0 large frame: 12000 */
#include "driver.h"

static void unload(PVOID driver)
{
    volatile char frame[12000];
    int index, sum = 0;

    (void)driver;
    for (index = 0; index < 12000; index++)
        frame[index] = 1;
    for (index = 0; index < 12000; index++)
        sum += frame[index];
    DbgPrint("large frame: %d\n", sum);
}

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    PVOID device;

    return create_device(object, path, unload, &device);
}
