/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the headers ask of a compiler: C11, C17 or C++17, and of C the keyword __typeof__. GCC and Clang have
 * it, cl.exe has it from 19.39 on. Internal: drivers use none of these names but the four that are documented
 * in bottomhalf.h (BOTTOMHALF_HZ, BOTTOMHALF_OWN_TYPES, BOTTOMHALF_OWN_DEVM, BOTTOMHALF_ALLOW_POINTER_CUTS).
 */
#ifndef BOTTOMHALF_COMPILER_H
#define BOTTOMHALF_COMPILER_H

#include <stddef.h>
#include <stdint.h>
#ifndef __cplusplus
#include <stdbool.h>
#endif

/* The width of `unsigned long`: a pointer's (LP64), or 32 bits beside pointers of 64 (LLP64, Windows). */
#if defined(_WIN64)
#define BOTTOMHALF_LLP64 1
#elif defined(__LP64__)
#define BOTTOMHALF_LP64 1
#else
#error "bottomhalf: pointers of 64 bits are needed (Windows on x64 or ARM64, or an LP64 host)"
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#if _MSC_VER < 1939
#error "bottomhalf: cl.exe 19.39 (Visual Studio 2022 17.9) or later is needed, for __typeof__"
#elif !defined(__cplusplus) && (!defined(__STDC_VERSION__) || __STDC_VERSION__ < 201112L)
#error "bottomhalf: compile C with /std:c11 or /std:c17, for _Generic and _Static_assert"
#endif
#endif

#ifdef __cplusplus
#define BOTTOMHALF_STATIC_ASSERT(condition, text) static_assert(condition, text)
#define BOTTOMHALF_BEGIN BOTTOMHALF_QUIET extern "C" {
#define BOTTOMHALF_END } BOTTOMHALF_LOUD
#else
#define BOTTOMHALF_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#define BOTTOMHALF_BEGIN BOTTOMHALF_QUIET
#define BOTTOMHALF_END BOTTOMHALF_LOUD
#endif

/*
 * What cl.exe at /W4 calls an extension of its own and C11 has: unions without a name (4201), initialisers
 * that are no constants (4204), and types without a name in parentheses (4116).
 */
#if defined(_MSC_VER)
#define BOTTOMHALF_QUIET __pragma(warning(push)) __pragma(warning(disable : 4116 4201 4204))
#define BOTTOMHALF_LOUD __pragma(warning(pop))
#else
#define BOTTOMHALF_QUIET
#define BOTTOMHALF_LOUD
#endif

/* Format strings are checked against their arguments; the positions of both are counted from one. */
#if defined(__MINGW32__)
#define BOTTOMHALF_PRINTF(format, first) __attribute__((__format__(ms_printf, format, first)))
#elif defined(__GNUC__) || defined(__clang__)
#define BOTTOMHALF_PRINTF(format, first) __attribute__((__format__(printf, format, first)))
#else
#define BOTTOMHALF_PRINTF(format, first)
#endif

/*
 * The annotations of the WDK, where its code analysis reads them. The levels are numbers here, so that they
 * stand before ntddk.h has been included too; the names are those of shim-api.md's column IRQL.
 */
#if defined(_MSC_VER) && defined(__has_include)
#if __has_include(<sal.h>)
#include <sal.h>
#endif
#if defined(_PREFAST_) && __has_include(<driverspecs.h>)
#include <driverspecs.h>
#endif
#endif
#if defined(_IRQL_requires_max_)
#define BOTTOMHALF_IRQL_ANY _IRQL_requires_max_(15)
#define BOTTOMHALF_IRQL_DISPATCH _IRQL_requires_max_(2)
#define BOTTOMHALF_IRQL_APC _IRQL_requires_max_(1)
#define BOTTOMHALF_IRQL_PASSIVE _IRQL_requires_max_(0)
#else
#define BOTTOMHALF_IRQL_ANY
#define BOTTOMHALF_IRQL_DISPATCH
#define BOTTOMHALF_IRQL_APC
#define BOTTOMHALF_IRQL_PASSIVE
#endif
#if defined(_Must_inspect_result_)
#define BOTTOMHALF_MUST_CHECK _Must_inspect_result_
#else
#define BOTTOMHALF_MUST_CHECK
#endif
#if defined(_Printf_format_string_)
#define BOTTOMHALF_FORMAT_STRING _Printf_format_string_
#else
#define BOTTOMHALF_FORMAT_STRING
#endif

/* The type of an expression, without the reference that an lvalue has in C++. */
#ifdef __cplusplus
extern "C++" {
template <class T> struct bottomhalf_value { typedef T type; };
template <class T> struct bottomhalf_value<T &> { typedef T type; };
template <class T> struct bottomhalf_value<T &&> { typedef T type; };
}
#define BOTTOMHALF_TYPEOF(expression) bottomhalf_value<decltype(expression)>::type
#else
#define BOTTOMHALF_TYPEOF(expression) __typeof__(expression)
#endif

#endif
