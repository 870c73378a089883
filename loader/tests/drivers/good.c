/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A driver that does everything right: a raw DPC, a WDF DPC, a work item, a timer, a thread, and an unload. */
/* expect: 0 good: dpc=1 wdfdpc=1 work=1 timer=1 thread=1 */
#include "driver.h"

static struct {
    KDPC dpc;
    KEVENT dpc_done;
    KEVENT timer_done;
    KEVENT thread_done;
    PVOID wdf_dpc;
    PVOID item;
    PVOID timer;
    volatile int dpcs, wdf_dpcs, works, timers, threads, cleanups;
} state;

static void raw_dpc(KDPC *dpc, PVOID context, PVOID first, PVOID second)
{
    if (dpc == &state.dpc && context == &state && first == (PVOID)1 && second == (PVOID)2 &&
        KeGetCurrentIrql() == 2)
        state.dpcs++;
    KeSetEvent(&state.dpc_done, 0, 0);
}

static void wdf_dpc(PVOID dpc)
{
    if (dpc == state.wdf_dpc)
        state.wdf_dpcs++;
    WdfWorkItemEnqueue(state.item);
}

static void work(PVOID item)
{
    if (item == state.item && KeGetCurrentIrql() == 0)
        state.works++;
}

static void timer(PVOID timer)
{
    if (timer == state.timer)
        state.timers++;
    KeSetEvent(&state.timer_done, 0, 0);
}

static void thread(PVOID context)
{
    if (context == &state)
        state.threads++;
    KeSetEvent(&state.thread_done, 0, 0);
}

static void cleanup(PVOID object)
{
    if (object == state.timer)
        state.cleanups++;
}

static void unload(PVOID driver)
{
    (void)driver;
    WdfTimerStop(state.timer, 1);
    WdfWorkItemFlush(state.item);
    DbgPrint("good: dpc=%d wdfdpc=%d work=%d timer=%d thread=%d\n", state.dpcs, state.wdf_dpcs, state.works,
             state.timers, state.threads);
}

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    WDF_DEFERRED_CONFIG dpc_config = { sizeof(dpc_config), wdf_dpc, 0 };
    WDF_DEFERRED_CONFIG work_config = { sizeof(work_config), work, 0 };
    WDF_TIMER_CONFIG timer_config = { sizeof(timer_config), timer, 0, 0, 0, 0 };
    WDF_OBJECT_ATTRIBUTES attributes;
    int64_t wait = -50 * 10000;
    PVOID device, handle;

    if (!NT_SUCCESS(create_device(object, path, unload, &device)))
        return STATUS_UNSUCCESSFUL;
    attributes = child_of(device);
    if (!NT_SUCCESS(WdfWorkItemCreate(&work_config, &attributes, &state.item)))
        return STATUS_UNSUCCESSFUL;
    if (!NT_SUCCESS(WdfDpcCreate(&dpc_config, &attributes, &state.wdf_dpc)))
        return STATUS_UNSUCCESSFUL;
    attributes.EvtCleanupCallback = cleanup;
    if (!NT_SUCCESS(WdfTimerCreate(&timer_config, &attributes, &state.timer)))
        return STATUS_UNSUCCESSFUL;
    KeInitializeEvent(&state.dpc_done, 0, 0);
    KeInitializeEvent(&state.timer_done, 0, 0);
    KeInitializeEvent(&state.thread_done, 0, 0);
    KeInitializeDpc(&state.dpc, raw_dpc, &state);
    KeInsertQueueDpc(&state.dpc, (PVOID)1, (PVOID)2);
    WdfDpcEnqueue(state.wdf_dpc);
    WdfTimerStart(state.timer, -10 * 10000);
    if (!NT_SUCCESS(PsCreateSystemThread(&handle, 0x1FFFFF, NULL, NULL, NULL, thread, &state)))
        return STATUS_UNSUCCESSFUL;
    ZwClose(handle);
    KeWaitForSingleObject(&state.dpc_done, 0, 0, 0, NULL);
    KeWaitForSingleObject(&state.thread_done, 0, 0, 0, NULL);
    if (KeWaitForSingleObject(&state.timer_done, 0, 0, 0, &wait) != STATUS_SUCCESS)
        return STATUS_UNSUCCESSFUL;
    DbgPrint("%wZ, %s, %x, %d, %I64d\n", path, "five", 0xABCu, -4, -5LL);
    return STATUS_SUCCESS;
}
