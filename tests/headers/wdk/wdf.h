/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A header of the shape of KMDF's, for compile tests. Like the WDK's it needs ntddk.h before it, and the
 * version from the command line.
 */
#ifndef _WDF_H_
#define _WDF_H_

#ifndef _NTDDK_
#error "include ntddk.h before wdf.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define DECLARE_HANDLE(name) \
    struct name##__ { \
        int unused; \
    }; \
    typedef struct name##__ *name

DECLARE_HANDLE(WDFDRIVER);
DECLARE_HANDLE(WDFDEVICE);
DECLARE_HANDLE(WDFDPC);
DECLARE_HANDLE(WDFWORKITEM);
DECLARE_HANDLE(WDFTIMER);

#define WDF_NO_HANDLE NULL

void WdfWorkItemEnqueue(WDFWORKITEM WorkItem);

#ifdef __cplusplus
}
#endif

#endif
