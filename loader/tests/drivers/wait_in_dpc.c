/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Waits in a DPC. */
/* expect: 111 ATTEMPTED_SWITCH_FROM_DPC(0xB8) */
#include "driver.h"

static KDPC dpc;
static KEVENT event;

static void routine(KDPC *dpc, PVOID context, PVOID first, PVOID second)
{
    (void)dpc;
    (void)first;
    (void)second;
    KeWaitForSingleObject(context, 0, 0, 0, NULL);
}

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    (void)object;
    (void)path;
    KeInitializeEvent(&event, 0, 0);
    KeInitializeDpc(&dpc, routine, &event);
    KeInsertQueueDpc(&dpc, NULL, NULL);
    for (;;)
        KeGetCurrentIrql();
}
