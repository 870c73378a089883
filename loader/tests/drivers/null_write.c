/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Writes to a null pointer in a DPC. */
/* expect: 112 PAGE_FAULT_IN_NONPAGED_AREA(0x50) */
#include "driver.h"

static KDPC dpc;
static int *volatile nowhere;

static void routine(KDPC *dpc, PVOID context, PVOID first, PVOID second)
{
    (void)dpc;
    (void)context;
    (void)first;
    (void)second;
    *nowhere = 1;
}

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    (void)object;
    (void)path;
    KeInitializeDpc(&dpc, routine, NULL);
    KfRaiseIrql(2);
    KeInsertQueueDpc(&dpc, NULL, NULL);
    KeLowerIrql(0);
    for (;;)
        KeGetCurrentIrql();
}
