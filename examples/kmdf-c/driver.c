/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A KMDF driver without hardware that checks, where it runs, what bottomhalf promises. When it is loaded it
 * makes a control device, runs the checks of check.c, and prints a line for each promise to the debugger.
 * DriverEntry fails if a promise is not kept, so that whoever starts the service is told.
 */
#include <ntddk.h>
#include <wdf.h>

#include <bottomhalf.h>

#include "check.h"

DRIVER_INITIALIZE DriverEntry;
static EVT_WDF_DRIVER_UNLOAD evt_driver_unload;

static WDFDRIVER driver;
static struct bottomhalf_attachment attachment;
static struct report report;

bool driver_attach(void)
{
    struct bottomhalf_config config;

    bottomhalf_config_init(&config, BOTTOMHALF_NON_REENTRANT);
    return NT_SUCCESS(bottomhalf_attach_driver(driver, &config, &attachment));
}

void driver_detach(void)
{
    bottomhalf_detach(&attachment);
}

void driver_sleep_ms(int ms)
{
    LARGE_INTEGER interval;

    interval.QuadPart = -(LONGLONG)ms * 10000;
    (void)KeDelayExecutionThread(KernelMode, FALSE, &interval);
}

void driver_stall_us(unsigned int us)
{
    KeStallExecutionProcessor(us);
}

long driver_add(counter *number, long change)
{
    return InterlockedExchangeAdd(number, change) + change;
}

/* Prints the report; DbgPrint takes 512 bytes at once, so it goes line by line. */
static void print(struct report *of)
{
    char *line = of->text, *place;

    for (place = of->text; *place; place++) {
        if (*place != '\n')
            continue;
        *place = '\0';
        DbgPrint("%s\n", line);
        line = place + 1;
    }
}

/* The framework deletes the device after it, and the driver can be stopped because it is there. */
static VOID evt_driver_unload(WDFDRIVER Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    DbgPrint("unloaded\n");
}

/* A driver without Plug and Play. */
static NTSTATUS create_driver(PDRIVER_OBJECT object, PUNICODE_STRING path)
{
    WDF_DRIVER_CONFIG config;

    WDF_DRIVER_CONFIG_INIT(&config, WDF_NO_EVENT_CALLBACK);
    config.DriverInitFlags = WdfDriverInitNonPnpDriver;
    config.EvtDriverUnload = evt_driver_unload;
    return WdfDriverCreate(object, path, WDF_NO_OBJECT_ATTRIBUTES, &config, &driver);
}

/* The device of the driver, which administrators may open. */
static NTSTATUS create_control_device(void)
{
    static WCHAR sddl_text[] = L"D:P(A;;GA;;;SY)(A;;GA;;;BA)";
    static WCHAR name_text[] = L"\\Device\\BottomhalfKmdfC";
    UNICODE_STRING sddl = { sizeof(sddl_text) - sizeof(WCHAR), sizeof(sddl_text), sddl_text };
    UNICODE_STRING name = { sizeof(name_text) - sizeof(WCHAR), sizeof(name_text), name_text };
    WDF_OBJECT_ATTRIBUTES attributes;
    PWDFDEVICE_INIT init;
    WDFDEVICE device;
    NTSTATUS status;

    init = WdfControlDeviceInitAllocate(driver, &sddl);
    if (!init)
        return STATUS_INSUFFICIENT_RESOURCES;
    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    status = WdfDeviceInitAssignName(init, &name);
    if (NT_SUCCESS(status))
        status = WdfDeviceCreate(&init, &attributes, &device);
    if (!NT_SUCCESS(status)) {
        if (init)
            WdfDeviceInitFree(init);
        return status;
    }
    WdfControlFinishInitializing(device);
    return STATUS_SUCCESS;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status = create_driver(DriverObject, RegistryPath);

    if (NT_SUCCESS(status))
        status = create_control_device();
    if (!NT_SUCCESS(status))
        return status;
    check_run(&report);
    print(&report);
    return report.failed ? STATUS_UNSUCCESSFUL : STATUS_SUCCESS;
}
