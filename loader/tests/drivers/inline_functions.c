/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Does what inline functions of the WDK's headers do: CR8, the processor block, KUSER_SHARED_DATA. */
/* expect: 0 inline functions: good */
#include "driver.h"

IMPORT PVOID KeGetCurrentThread(void);
IMPORT ULONG KeGetCurrentProcessorNumberEx(PVOID number);
IMPORT uint64_t KeQueryUnbiasedInterruptTime(void);

static uint64_t read_irql(void)
{
    uint64_t irql;

    __asm__ volatile("mov %%cr8, %0" : "=r"(irql));
    return irql;
}

static void write_irql(uint64_t irql)
{
    __asm__ volatile("mov %0, %%cr8" : : "r"(irql) : "memory");
}

static PVOID current_thread(void)
{
    PVOID thread;

    __asm__ volatile("movq %%gs:0x188, %0" : "=r"(thread));
    return thread;
}

static ULONG current_processor(void)
{
    ULONG number;

    __asm__ volatile("movl %%gs:0x184, %0" : "=r"(number));
    return number;
}

static const char *check(void)
{
    uint64_t before, shared;

    if (read_irql() != 0)
        return "CR8 is not PASSIVE_LEVEL";
    write_irql(2);
    if (KeGetCurrentIrql() != 2 || read_irql() != 2)
        return "CR8 does not raise";
    if (current_processor() != KeGetCurrentProcessorNumberEx(NULL))
        return "the processor is another";
    write_irql(0);
    if (KeGetCurrentIrql() != 0)
        return "CR8 does not lower";
    if (current_thread() != KeGetCurrentThread())
        return "the thread is another";
    before = KeQueryUnbiasedInterruptTime();
    shared = *(volatile uint64_t *)0xFFFFF78000000008;
    if (shared < before || shared > KeQueryUnbiasedInterruptTime())
        return "the interrupt time is another";
    return "good";
}

static void unload(PVOID driver)
{
    (void)driver;
    DbgPrint("inline functions: %s\n", check());
}

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    PVOID device;

    return create_device(object, path, unload, &device);
}
