/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Has a queue and a symbolic link, and answers requests with a text or an error. */
/* options: --link \DosDevices\LoaderRequests --ioctl 0x222000 */
/* expect: 0 0x222000 of 65536 bytes */
#include "driver.h"

/* WDF_IO_QUEUE_CONFIG. */
typedef struct {
    ULONG Size;
    int32_t DispatchType;
    int32_t PowerManaged;
    BOOLEAN AllowZeroLengthRequests;
    BOOLEAN DefaultQueue;
    PVOID EvtIoDefault;
    PVOID EvtIoRead;
    PVOID EvtIoWrite;
    void (*EvtIoDeviceControl)(PVOID queue, PVOID request, size_t output, size_t input, ULONG code);
    PVOID EvtIoInternalDeviceControl;
    PVOID EvtIoStop;
    PVOID EvtIoResume;
    PVOID EvtIoCanceledOnQueue;
    uint64_t Settings;
    PVOID Driver;
} WDF_IO_QUEUE_CONFIG;
_Static_assert(sizeof(WDF_IO_QUEUE_CONFIG) == 96, "KMDF's queue config");

#define WdfDeviceInitAssignName(init, name)                                                                     \
    WDF(67, NTSTATUS (*)(PVOID, PVOID, const UNICODE_STRING *))(WdfDriverGlobals, init, name)
#define WdfDeviceCreateSymbolicLink(device, name)                                                               \
    WDF(80, NTSTATUS (*)(PVOID, PVOID, const UNICODE_STRING *))(WdfDriverGlobals, device, name)
#define WdfIoQueueCreate(...)                                                                                   \
    WDF(152, NTSTATUS (*)(PVOID, PVOID, WDF_IO_QUEUE_CONFIG *, WDF_OBJECT_ATTRIBUTES *, PVOID *))(              \
        WdfDriverGlobals, __VA_ARGS__)
#define WdfRequestComplete(request, status)                                                                     \
    WDF(263, void (*)(PVOID, PVOID, NTSTATUS))(WdfDriverGlobals, request, status)
#define WdfRequestCompleteWithInformation(request, status, bytes)                                               \
    WDF(265, void (*)(PVOID, PVOID, NTSTATUS, uint64_t))(WdfDriverGlobals, request, status, bytes)
#define WdfRequestRetrieveOutputBuffer(...)                                                                     \
    WDF(270, NTSTATUS (*)(PVOID, PVOID, size_t, PVOID *, size_t *))(WdfDriverGlobals, __VA_ARGS__)

static size_t append_number(char *text, size_t at, ULONG number, ULONG base)
{
    ULONG divisor = 1;

    while (number / divisor >= base)
        divisor *= base;
    for (; divisor; divisor /= base)
        text[at++] = "0123456789abcdef"[number / divisor % base];
    return at;
}

static size_t append(char *text, size_t at, const char *more)
{
    while (*more)
        text[at++] = *more++;
    return at;
}

static void device_control(PVOID queue, PVOID request, size_t output, size_t input, ULONG code)
{
    PVOID buffer;
    size_t length, at = 0;

    (void)queue;
    if (code != 0x222000 || input != 0 || !NT_SUCCESS(WdfRequestRetrieveOutputBuffer(request, 64, &buffer, &length)) ||
        length != output) {
        WdfRequestComplete(request, (NTSTATUS)0xC0000010);
        return;
    }
    at = append(buffer, at, "0x");
    at = append_number(buffer, at, code, 16);
    at = append(buffer, at, " of ");
    at = append_number(buffer, at, (ULONG)output, 10);
    at = append(buffer, at, " bytes\n");
    WdfRequestCompleteWithInformation(request, STATUS_SUCCESS, at);
}

static void unload(PVOID driver)
{
    (void)driver;
}

#define STRING(name, text)              \
    static WCHAR name##_buffer[] = text; \
    static UNICODE_STRING name = { sizeof(name##_buffer) - 2, sizeof(name##_buffer), name##_buffer }

STRING(device_name, L"\\Device\\LoaderRequests");
STRING(link_name, L"\\DosDevices\\LoaderRequests");
STRING(security, L"D:P(A;;GA;;;SY)");

NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    WDF_DRIVER_CONFIG config = { sizeof(config), NULL, unload, 1, 0 };
    WDF_IO_QUEUE_CONFIG queue = {
        .Size = sizeof(queue), .DispatchType = 1, .PowerManaged = 2, .DefaultQueue = 1,
        .EvtIoDeviceControl = device_control,
    };
    PVOID driver, device, init;
    NTSTATUS status;

    status = WdfDriverCreate(object, path, NULL, &config, &driver);
    if (!NT_SUCCESS(status))
        return status;
    init = WdfControlDeviceInitAllocate(driver, &security);
    if (!init)
        return STATUS_UNSUCCESSFUL;
    status = WdfDeviceInitAssignName(init, &device_name);
    if (NT_SUCCESS(status))
        status = WdfDeviceCreate(&init, NULL, &device);
    if (NT_SUCCESS(status))
        status = WdfDeviceCreateSymbolicLink(device, &link_name);
    if (NT_SUCCESS(status))
        status = WdfIoQueueCreate(device, &queue, NULL, NULL);
    if (NT_SUCCESS(status))
        WdfControlFinishInitializing(device);
    return status;
}
