/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * KMDF for a driver in C that is built without a WDK: the types of the host's header of this name
 * (capi/host/include), and calls through the framework's table by index, as the WDK's inline functions make
 * them (BIND-11). ci/sys-c.sh compares the indices with mock/layout.tsv. Only the calls that a driver here
 * makes are there; another one does not link.
 */
#ifndef STAND_IN_WDF_H
#define STAND_IN_WDF_H

#include <ntddk.h>
#include_next <wdf.h>

enum {
    WdfControlDeviceInitAllocateTableIndex = 25,
    WdfControlFinishInitializingTableIndex = 27,
    WdfDeviceInitFreeTableIndex = 54,
    WdfDeviceInitAssignNameTableIndex = 67,
    WdfDeviceCreateTableIndex = 75,
    WdfDriverCreateTableIndex = 116
};

/* WdfDriverEntry.lib has them, and binds them before DriverEntry. */
extern void *const *WdfFunctions_01033;
extern void *WdfDriverGlobals;

#define WDF_CALL(name, type) ((type)WdfFunctions_01033[name##TableIndex])

#define WdfDriverCreate(...)                                                                                 \
    WDF_CALL(WdfDriverCreate, NTSTATUS (*)(PVOID, PDRIVER_OBJECT, PCUNICODE_STRING, PWDF_OBJECT_ATTRIBUTES,  \
                                           PWDF_DRIVER_CONFIG, WDFDRIVER *))(WdfDriverGlobals, __VA_ARGS__)
#define WdfControlDeviceInitAllocate(...)                                                                    \
    WDF_CALL(WdfControlDeviceInitAllocate, PWDFDEVICE_INIT (*)(PVOID, WDFDRIVER, PCUNICODE_STRING))          \
    (WdfDriverGlobals, __VA_ARGS__)
#define WdfControlFinishInitializing(...)                                                                    \
    WDF_CALL(WdfControlFinishInitializing, VOID (*)(PVOID, WDFDEVICE))(WdfDriverGlobals, __VA_ARGS__)
#define WdfDeviceInitFree(...)                                                                               \
    WDF_CALL(WdfDeviceInitFree, VOID (*)(PVOID, PWDFDEVICE_INIT))(WdfDriverGlobals, __VA_ARGS__)
#define WdfDeviceInitAssignName(...)                                                                         \
    WDF_CALL(WdfDeviceInitAssignName, NTSTATUS (*)(PVOID, PWDFDEVICE_INIT, PCUNICODE_STRING))                \
    (WdfDriverGlobals, __VA_ARGS__)
#define WdfDeviceCreate(...)                                                                                 \
    WDF_CALL(WdfDeviceCreate, NTSTATUS (*)(PVOID, PWDFDEVICE_INIT *, PWDF_OBJECT_ATTRIBUTES, WDFDEVICE *))   \
    (WdfDriverGlobals, __VA_ARGS__)

#endif
