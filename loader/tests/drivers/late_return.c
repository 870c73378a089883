/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Is unloaded while a thread that NT does not know of is about to return to it. */
/* expect: 112 DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS(0xCE) */
#include "driver.h"

IMPORT PVOID kmdf_mock_spawn(const char *name, int32_t cpu, void (*function)(PVOID context), PVOID context);
IMPORT void kmdf_mock_sleep_100ns(uint64_t time);

static void thread(PVOID context)
{
    (void)context;
    kmdf_mock_sleep_100ns(500000);
}

static void unload(PVOID driver)
{
    (void)driver;
    kmdf_mock_spawn("late", -1, thread, NULL);
}

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    PVOID device;

    return create_device(object, path, unload, &device);
}
