/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the drivers of this folder need of the WDK's headers, and the entry stub of KMDF. */
#ifndef LOADER_TESTS_DRIVER_H
#define LOADER_TESTS_DRIVER_H

#include <stddef.h>
#include <stdint.h>

typedef int32_t NTSTATUS;
typedef uint8_t BOOLEAN;
typedef uint8_t KIRQL;
typedef uint32_t ULONG;
typedef uint64_t ULONG_PTR;
typedef void *PVOID;
typedef uint16_t WCHAR;

#define STATUS_SUCCESS 0
#define STATUS_UNSUCCESSFUL ((NTSTATUS)0xC0000001)
#define NT_SUCCESS(status) ((status) >= 0)
#define IMPORT __declspec(dllimport)

typedef struct {
    uint16_t Length;
    uint16_t MaximumLength;
    WCHAR *Buffer;
} UNICODE_STRING;

typedef struct DRIVER_OBJECT DRIVER_OBJECT;
struct DRIVER_OBJECT {
    int16_t Type;
    int16_t Size;
    PVOID DeviceObject;
    ULONG Flags;
    PVOID DriverStart;
    ULONG DriverSize;
    PVOID DriverSection;
    PVOID DriverExtension;
    UNICODE_STRING DriverName;
    PVOID HardwareDatabase;
    PVOID FastIoDispatch;
    PVOID DriverInit;
    PVOID DriverStartIo;
    void (*DriverUnload)(DRIVER_OBJECT *object);
    PVOID MajorFunction[28];
};
_Static_assert(sizeof(DRIVER_OBJECT) == 336, "NT's driver object");
_Static_assert(offsetof(DRIVER_OBJECT, DriverUnload) == 104, "and its unload routine");

typedef struct {
    uint64_t opaque[8];
} KDPC;
typedef struct {
    uint64_t opaque[3];
} KEVENT;

typedef void KDEFERRED_ROUTINE(KDPC *dpc, PVOID context, PVOID first, PVOID second);

IMPORT ULONG DbgPrint(const char *format, ...);
IMPORT PVOID ExAllocatePool2(uint64_t flags, uint64_t bytes, ULONG tag);
IMPORT void ExFreePoolWithTag(PVOID block, ULONG tag);
IMPORT void KeInitializeDpc(KDPC *dpc, KDEFERRED_ROUTINE *routine, PVOID context);
IMPORT BOOLEAN KeInsertQueueDpc(KDPC *dpc, PVOID first, PVOID second);
IMPORT void KeInitializeEvent(KEVENT *event, int type, BOOLEAN state);
IMPORT int32_t KeSetEvent(KEVENT *event, int32_t increment, BOOLEAN wait);
IMPORT NTSTATUS KeWaitForSingleObject(PVOID object, int reason, char mode, BOOLEAN alertable, int64_t *timeout);
IMPORT KIRQL KeGetCurrentIrql(void);
IMPORT KIRQL KfRaiseIrql(KIRQL irql);
IMPORT void KeLowerIrql(KIRQL irql);
IMPORT void KeInitializeSpinLock(uint64_t *lock);
IMPORT KIRQL KeAcquireSpinLockRaiseToDpc(uint64_t *lock);
IMPORT void KeReleaseSpinLock(uint64_t *lock, KIRQL irql);
IMPORT __declspec(noreturn) void KeBugCheckEx(ULONG code, ULONG_PTR first, ULONG_PTR second, ULONG_PTR third,
                                              ULONG_PTR fourth);
IMPORT NTSTATUS PsCreateSystemThread(PVOID *handle, ULONG access, PVOID attributes, PVOID process, PVOID client,
                                     void (*routine)(PVOID context), PVOID context);
IMPORT NTSTATUS ZwClose(PVOID handle);

typedef struct {
    PVOID driver;
    ULONG flags;
    ULONG tag;
    char name[32];
    BOOLEAN displace_unload;
} WDF_DRIVER_GLOBALS;

typedef struct {
    ULONG Size;
    const WCHAR *Component;
    ULONG Major;
    ULONG Minor;
    ULONG Build;
    ULONG FuncCount;
    PVOID *FuncTable;
    PVOID Module;
} WDF_BIND_INFO;
_Static_assert(sizeof(WDF_BIND_INFO) == 48, "KMDF's bind info");

IMPORT NTSTATUS WdfVersionBind(DRIVER_OBJECT *object, UNICODE_STRING *path, WDF_BIND_INFO *info,
                               WDF_DRIVER_GLOBALS **globals);
IMPORT NTSTATUS WdfVersionUnbind(UNICODE_STRING *path, WDF_BIND_INFO *info, WDF_DRIVER_GLOBALS *globals);

typedef struct {
    ULONG Size;
    NTSTATUS (*EvtDriverDeviceAdd)(PVOID driver, PVOID init);
    void (*EvtDriverUnload)(PVOID driver);
    ULONG DriverInitFlags;
    ULONG DriverPoolTag;
} WDF_DRIVER_CONFIG;

typedef struct {
    ULONG Size;
    void (*EvtCleanupCallback)(PVOID object);
    void (*EvtDestroyCallback)(PVOID object);
    int32_t ExecutionLevel;
    int32_t SynchronizationScope;
    PVOID ParentObject;
    size_t ContextSizeOverride;
    const void *ContextTypeInfo;
} WDF_OBJECT_ATTRIBUTES;

/* WDF_DPC_CONFIG and WDF_WORKITEM_CONFIG. */
typedef struct {
    ULONG Size;
    void (*function)(PVOID object);
    BOOLEAN AutomaticSerialization;
} WDF_DEFERRED_CONFIG;

typedef struct {
    ULONG Size;
    void (*EvtTimerFunc)(PVOID timer);
    ULONG Period;
    BOOLEAN AutomaticSerialization;
    ULONG TolerableDelay;
    int64_t UseHighResolutionTimer;
} WDF_TIMER_CONFIG;
_Static_assert(sizeof(WDF_TIMER_CONFIG) == 40, "KMDF's timer config");

PVOID *WdfFunctions;
WDF_DRIVER_GLOBALS *WdfDriverGlobals;

#define WDF(index, type) ((type)WdfFunctions[index])
#define WdfControlDeviceInitAllocate(driver, sddl)                                                              \
    WDF(25, PVOID (*)(PVOID, PVOID, const UNICODE_STRING *))(WdfDriverGlobals, driver, sddl)
#define WdfControlFinishInitializing(device) WDF(27, void (*)(PVOID, PVOID))(WdfDriverGlobals, device)
#define WdfDeviceCreate(...)                                                                                    \
    WDF(75, NTSTATUS (*)(PVOID, PVOID *, WDF_OBJECT_ATTRIBUTES *, PVOID *))(WdfDriverGlobals, __VA_ARGS__)
#define WdfDpcCreate(...)                                                                                       \
    WDF(111, NTSTATUS (*)(PVOID, WDF_DEFERRED_CONFIG *, WDF_OBJECT_ATTRIBUTES *, PVOID *))(WdfDriverGlobals,    \
                                                                                           __VA_ARGS__)
#define WdfDpcEnqueue(dpc) WDF(112, BOOLEAN (*)(PVOID, PVOID))(WdfDriverGlobals, dpc)
#define WdfDriverCreate(...)                                                                                    \
    WDF(116, NTSTATUS (*)(PVOID, DRIVER_OBJECT *, UNICODE_STRING *, WDF_OBJECT_ATTRIBUTES *,                    \
                          WDF_DRIVER_CONFIG *, PVOID *))(WdfDriverGlobals, __VA_ARGS__)
#define WdfObjectDelete(object) WDF(208, void (*)(PVOID, PVOID))(WdfDriverGlobals, object)
#define WdfTimerCreate(...)                                                                                     \
    WDF(318, NTSTATUS (*)(PVOID, WDF_TIMER_CONFIG *, WDF_OBJECT_ATTRIBUTES *, PVOID *))(WdfDriverGlobals,       \
                                                                                        __VA_ARGS__)
#define WdfTimerStart(timer, due) WDF(319, BOOLEAN (*)(PVOID, PVOID, int64_t))(WdfDriverGlobals, timer, due)
#define WdfTimerStop(timer, wait) WDF(320, BOOLEAN (*)(PVOID, PVOID, BOOLEAN))(WdfDriverGlobals, timer, wait)
#define WdfWorkItemCreate(...)                                                                                  \
    WDF(379, NTSTATUS (*)(PVOID, WDF_DEFERRED_CONFIG *, WDF_OBJECT_ATTRIBUTES *, PVOID *))(WdfDriverGlobals,    \
                                                                                           __VA_ARGS__)
#define WdfWorkItemEnqueue(item) WDF(380, void (*)(PVOID, PVOID))(WdfDriverGlobals, item)
#define WdfWorkItemFlush(item) WDF(382, void (*)(PVOID, PVOID))(WdfDriverGlobals, item)

/* The driver's part. */
NTSTATUS DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path);

static WDF_BIND_INFO bind_info = {
    sizeof(bind_info), L"KmdfLibrary", 1, 33, 0, 458, (PVOID *)&WdfFunctions, NULL,
};
static UNICODE_STRING registry_path;
static WCHAR registry_path_buffer[128];
static void (*displaced_unload)(DRIVER_OBJECT *object);

/* Leaves the framework after its own unload routine. */
static void stub_unload(DRIVER_OBJECT *object)
{
    if (displaced_unload)
        displaced_unload(object);
    WdfVersionUnbind(&registry_path, &bind_info, WdfDriverGlobals);
}

/* Binds the driver, calls it, and puts itself before the unload routine. */
NTSTATUS FxDriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *path)
{
    NTSTATUS status;

    registry_path.Buffer = registry_path_buffer;
    registry_path.MaximumLength = sizeof(registry_path_buffer);
    for (registry_path.Length = 0; registry_path.Length < path->Length; registry_path.Length += 2)
        registry_path_buffer[registry_path.Length / 2] = path->Buffer[registry_path.Length / 2];
    status = WdfVersionBind(object, &registry_path, &bind_info, &WdfDriverGlobals);
    if (!NT_SUCCESS(status))
        return status;
    status = DriverEntry(object, path);
    if (!NT_SUCCESS(status)) {
        WdfVersionUnbind(&registry_path, &bind_info, WdfDriverGlobals);
        return status;
    }
    displaced_unload = object->DriverUnload;
    object->DriverUnload = stub_unload;
    return STATUS_SUCCESS;
}

/* A driver without PnP, whose unload callback is `unload`, and its control device. */
static inline NTSTATUS create_device(DRIVER_OBJECT *object, UNICODE_STRING *path, void (*unload)(PVOID driver),
                                     PVOID *device)
{
    WDF_DRIVER_CONFIG config = { sizeof(config), NULL, unload, 1, 0 };
    UNICODE_STRING sddl = { 0, 0, NULL };
    PVOID driver, init;
    NTSTATUS status;

    status = WdfDriverCreate(object, path, NULL, &config, &driver);
    if (!NT_SUCCESS(status))
        return status;
    init = WdfControlDeviceInitAllocate(driver, &sddl);
    if (!init)
        return STATUS_UNSUCCESSFUL;
    status = WdfDeviceCreate(&init, NULL, device);
    if (NT_SUCCESS(status))
        WdfControlFinishInitializing(*device);
    return status;
}

/* Attributes whose only member is a parent. */
static inline WDF_OBJECT_ATTRIBUTES child_of(PVOID parent)
{
    WDF_OBJECT_ATTRIBUTES attributes = {
        .Size = sizeof(attributes), .ExecutionLevel = 1, .SynchronizationScope = 1, .ParentObject = parent,
    };

    return attributes;
}

#endif
