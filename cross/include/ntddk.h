/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * NT for a driver in C that is built without a WDK: the host's header of this name (capi/host/include), whose
 * functions are ntoskrnl's here. Include path: this folder, then that one.
 */
#ifndef STAND_IN_NTDDK_H
#define STAND_IN_NTDDK_H

/* The host's prints through kmdf-mock. */
#define DbgPrint bottomhalf_host_dbg_print
#include_next <ntddk.h>
#undef DbgPrint
#undef YieldProcessor

__attribute__((format(printf, 1, 2)))
ULONG DbgPrint(const char *format, ...);

#define YieldProcessor() __builtin_ia32_pause()

#endif
