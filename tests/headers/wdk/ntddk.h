/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A header of the shape of the WDK's, for compile tests: its guards, its widths on LLP64, its annotations,
 * and names that a careless header might take. Typed from Microsoft's public documentation; nothing here is
 * called.
 */
#ifndef _NTDDK_
#define _NTDDK_

#include <stdarg.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IN
#define OUT
#define OPTIONAL
#define CONST const
#define VOID void
#define TRUE 1
#define FALSE 0
#define NTAPI
#define FORCEINLINE static inline

#define _In_
#define _Out_
#define _Must_inspect_result_ __attribute__((__warn_unused_result__))
#define _Printf_format_string_
#define _IRQL_requires_(irql)
#define _IRQL_requires_max_(irql) __attribute__((__unused__))
#define _IRQL_requires_min_(irql)
#define _IRQL_raises_(irql)

#define PASSIVE_LEVEL 0
#define APC_LEVEL 1
#define DISPATCH_LEVEL 2
#define HIGH_LEVEL 15

#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#define CONTAINING_RECORD(address, type, field) ((type *)((char *)(address)-offsetof(type, field)))
#define C_ASSERT(e) typedef char __C_ASSERT__[(e) ? 1 : -1]
#define UNREFERENCED_PARAMETER(P) ((void)(P))
#define ARRAYSIZE(A) (sizeof(A) / sizeof((A)[0]))
#define InitializeListHead(head) ((head)->Flink = (head)->Blink = (head))

typedef void *PVOID;
typedef unsigned char UCHAR, BOOLEAN, KIRQL;
typedef unsigned short USHORT;
#ifdef _WIN64
typedef long LONG;
typedef unsigned long ULONG;
#else
typedef int LONG;
typedef unsigned int ULONG;
#endif
typedef long long LONGLONG;
typedef unsigned long long ULONGLONG, ULONG_PTR, KAFFINITY;
typedef LONG NTSTATUS;

typedef struct _LIST_ENTRY {
    struct _LIST_ENTRY *Flink;
    struct _LIST_ENTRY *Blink;
} LIST_ENTRY, *PLIST_ENTRY;

typedef struct _KDPC KDPC, *PKDPC;
typedef struct _WORK_QUEUE_ITEM WORK_QUEUE_ITEM, *PWORK_QUEUE_ITEM;

#define STATUS_SUCCESS ((NTSTATUS)0)
#define NT_SUCCESS(Status) (((NTSTATUS)(Status)) >= 0)

KIRQL KeGetCurrentIrql(void);

#ifdef __cplusplus
}
#endif

#endif
