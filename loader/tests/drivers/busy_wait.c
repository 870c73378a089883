/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Waits for another CPU in a loop without a call: the other one has to come to its turn. */
/* expect: 0 the other CPU answered */
#include "driver.h"

static volatile int asked, answered;
static KEVENT done;

static void thread(PVOID context)
{
    while (!asked)
        __asm__ volatile("pause" ::: "memory");
    KeGetCurrentIrql();
    answered = 1;
    KeSetEvent(context, 0, 0);
}

static void unload(PVOID driver)
{
    (void)driver;
    DbgPrint("the other CPU answered\n");
}

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    PVOID device, handle;
    KIRQL irql;

    KeInitializeEvent(&done, 0, 0);
    if (!NT_SUCCESS(create_device(object, path, unload, &device)))
        return STATUS_UNSUCCESSFUL;
    if (!NT_SUCCESS(PsCreateSystemThread(&handle, 0x1FFFFF, NULL, NULL, NULL, thread, &done)))
        return STATUS_UNSUCCESSFUL;
    ZwClose(handle);
    irql = KfRaiseIrql(2);
    asked = 1;
    while (!answered)
        __asm__ volatile("pause" ::: "memory");
    KeLowerIrql(irql);
    KeWaitForSingleObject(&done, 0, 0, 0, NULL);
    return STATUS_SUCCESS;
}
