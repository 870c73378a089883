/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tasklets of the old form: a function that gets an `unsigned long`. In Linux that has room for a pointer,
 * and most drivers pass one. On Windows it has 32 bits. So there a pointer that is cast to it does not
 * compile, wherever in the source it is; and tasklet_init() takes neither an `unsigned long`, which may be
 * what is left of a pointer, nor a datum of 64 bits for a function that takes 32. What to do instead is the
 * text of the errors. Zero, other plain numbers, and a uintptr_t for a function that takes a uintptr_t are
 * taken.
 *
 * Names and interfaces are Linux's; nothing else is taken from it.
 */
#ifndef BOTTOMHALF_LLP64_H
#define BOTTOMHALF_LLP64_H

#include <bottomhalf/items.h>

/*
 * On Windows a cast that cuts a pointer is an error from here on, unless the command line suppresses all
 * warnings. For g++ it is one of the language. This stands outside of BOTTOMHALF_BEGIN, whose end takes such
 * settings back.
 */
#if defined(BOTTOMHALF_LLP64) && !defined(BOTTOMHALF_ALLOW_POINTER_CUTS)
#if defined(_MSC_VER) && !defined(__clang__)
#pragma warning(error : 4302 4311)
#elif defined(__clang__) || !defined(__cplusplus)
#pragma GCC diagnostic error "-Wpointer-to-int-cast"
#endif
#ifdef BOTTOMHALF_DATA_HAS_ADVICE
#pragma GCC diagnostic warning "-Wdeprecated-declarations"
#endif
#endif

BOTTOMHALF_BEGIN

/* A function of the old form, in the place of a callback. */
#define BOTTOMHALF_CALLBACK(function) ((void (*)(struct tasklet_struct *))(void (*)(void))(function))

static inline void bottomhalf_make_old_tasklet(struct tasklet_struct *t, void (*func)(unsigned long),
                                               uintptr_t data)
{
    struct tasklet_struct made = BOTTOMHALF_TASKLET(BOTTOMHALF_CALLBACK(func), false, 0, data);

    *t = made;
}

/*
 * The function of a tasklet of the old form, as one that takes an `unsigned long`. It takes that, or, on
 * Windows, a uintptr_t; one of another type does not compile.
 */
#ifdef __cplusplus
extern "C++" {
constexpr void (*bottomhalf_old_function(void (*func)(unsigned long)))(unsigned long) { return func; }
#ifdef BOTTOMHALF_LLP64
constexpr void (*bottomhalf_old_function(void (*func)(uintptr_t)))(uintptr_t) { return func; }
#endif
}
#define BOTTOMHALF_OLD(function) bottomhalf_old_function(function)
#elif defined(BOTTOMHALF_LP64)
#define BOTTOMHALF_OLD(function) _Generic(&*(function), void (*)(unsigned long): (function))
#else
#define BOTTOMHALF_OLD(function) \
    _Generic(&*(function), void (*)(unsigned long): (function), \
             void (*)(uintptr_t): (void (*)(unsigned long))(void (*)(void))(function))
#endif

#ifdef BOTTOMHALF_LP64

/*
 * Makes @t ready, with a function that gets @data. Plain stores; nothing can fail. @t is neither scheduled
 * nor running. New code takes tasklet_setup().
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline void tasklet_init(struct tasklet_struct *t, void (*func)(unsigned long), unsigned long data)
{
    bottomhalf_make_old_tasklet(t, func, data);
}

#else

#define BOTTOMHALF_CUT_POINTER \
    "unsigned long has 32 bits on Windows and holds no pointer: use tasklet_setup() and from_tasklet(), or " \
    "pass (uintptr_t)pointer as data to a function that takes a uintptr_t; a plain number as unsigned int"
#define BOTTOMHALF_WIDE_DATUM \
    "the function takes an unsigned long, which has 32 bits on Windows, and data has 64: use " \
    "tasklet_setup() and from_tasklet(), or let the function take a uintptr_t"

#ifdef __cplusplus
extern "C++" {

template <class Data> struct bottomhalf_is_long { static const bool value = false; };
template <> struct bottomhalf_is_long<long> { static const bool value = true; };
template <> struct bottomhalf_is_long<unsigned long> { static const bool value = true; };

template <class Data>
static inline void tasklet_init(struct tasklet_struct *t, void (*func)(unsigned long), Data data)
{
    static_assert(!bottomhalf_is_long<Data>::value, BOTTOMHALF_CUT_POINTER);
    static_assert(sizeof(Data) <= sizeof(unsigned long), BOTTOMHALF_WIDE_DATUM);
    bottomhalf_make_old_tasklet(t, func, (uintptr_t)data);
}

template <class Data>
static inline void tasklet_init(struct tasklet_struct *t, void (*func)(uintptr_t), Data data)
{
    static_assert(!bottomhalf_is_long<Data>::value, BOTTOMHALF_CUT_POINTER);
    bottomhalf_make_old_tasklet(t, (void (*)(unsigned long))(void (*)(void))func, data);
}

}
#else

/* A size, which is never zero. A datum that must not be passed does not compile. */
#define BOTTOMHALF_CHECKED_DATUM(function, data) \
    sizeof(struct { \
        _Static_assert(_Generic((data), unsigned long: 0, long: 0, default: 1), BOTTOMHALF_CUT_POINTER); \
        _Static_assert(sizeof(data) <= 4 || _Generic(&*(function), void (*)(uintptr_t): 1, default: 0), \
                       BOTTOMHALF_WIDE_DATUM); \
        char checked; \
    })

/*
 * Makes @t ready, with a function that gets @data. Plain stores; nothing can fail. @t is neither scheduled
 * nor running. New code takes tasklet_setup().
 *
 * IRQL: any. Does not block.
 */
#define tasklet_init(t, func, data) \
    (BOTTOMHALF_QUIET(void) BOTTOMHALF_CHECKED_DATUM(func, data) BOTTOMHALF_LOUD, \
     bottomhalf_make_old_tasklet((t), BOTTOMHALF_OLD(func), (data)))

#endif
#endif

BOTTOMHALF_END

#endif
