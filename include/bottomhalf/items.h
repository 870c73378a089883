/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The items that live in the driver's memory, and their static initialisers, which are constant expressions.
 * Members that drivers touch have Linux's names and meaning. What begins with bottomhalf_ is the engine's.
 *
 * The layout is that of src/engine/item.rs on every ABI, which both sides assert. Where `unsigned long` has
 * 32 bits (LLP64) a member of that type is the low half of eight bytes.
 *
 * Names and interfaces are Linux's; nothing else is taken from it.
 */
#ifndef BOTTOMHALF_ITEMS_H
#define BOTTOMHALF_ITEMS_H

#include <bottomhalf/types.h>

BOTTOMHALF_BEGIN

/* The upper half of a member whose lower one is an `unsigned long`, and its place in an initialiser. */
#ifdef BOTTOMHALF_LLP64
#define BOTTOMHALF_HIGH_HALF(name) uint32_t name;
#define BOTTOMHALF_ZERO_HIGH 0,
#else
#define BOTTOMHALF_HIGH_HALF(name)
#define BOTTOMHALF_ZERO_HIGH
#endif

/*
 * What the function of a tasklet of the old form gets: an `unsigned long`, which in Linux has room for a
 * pointer. On Windows the member has room for one too, and GCC and Clang say where it is touched that the
 * type has not. That is a warning, whatever becomes of other warnings; the cast that cuts a pointer is an
 * error of its own: see llp64.h.
 */
#ifdef BOTTOMHALF_LP64
#define BOTTOMHALF_DATA unsigned long data;
#define BOTTOMHALF_DATUM(data) (data)
#else
#if (defined(__GNUC__) || defined(__clang__)) && !defined(BOTTOMHALF_ALLOW_POINTER_CUTS)
#define BOTTOMHALF_DATA_ADVICE \
    __attribute__((__deprecated__( \
        "unsigned long has 32 bits on Windows and holds no pointer: use tasklet_setup() and " \
        "from_tasklet(), or set data to (uintptr_t)pointer, for a function that takes a uintptr_t")))
#define BOTTOMHALF_DATA_HAS_ADVICE 1
#else
#define BOTTOMHALF_DATA_ADVICE
#endif
#define BOTTOMHALF_DATA \
    union { \
        uintptr_t bottomhalf_data; \
        uintptr_t data BOTTOMHALF_DATA_ADVICE; \
    };
#define BOTTOMHALF_DATUM(data) { (data) }
#endif

struct work_struct;
struct workqueue_struct;

/* The function of a work or delayed work. It runs at PASSIVE_LEVEL, on a WQ_BH queue at DISPATCH_LEVEL. */
typedef void (*work_func_t)(struct work_struct *work);

/* A tasklet. Zeroed memory is one that was never initialised. */
struct tasklet_struct {
    struct tasklet_struct *next;
    /* TASKLET_STATE_SCHED and TASKLET_STATE_RUN are the numbers of its bits. */
    unsigned long state;
    BOTTOMHALF_HIGH_HALF(bottomhalf_state_high)
    /* How often it is disabled. */
    atomic_t count;
    bool use_callback;
    uint8_t bottomhalf_link[3];
    union {
        void (*callback)(struct tasklet_struct *t);
        void (*func)(unsigned long data);
    };
    BOTTOMHALF_DATA
};

/* A work. Zeroed memory is one that was never initialised, and has no `func`. */
struct work_struct {
    /* Bit WORK_STRUCT_PENDING_BIT says pending. The engine owns the others. */
    atomic_long_t data;
    BOTTOMHALF_HIGH_HALF(bottomhalf_data_high)
    struct list_head entry;
    work_func_t func;
};

/* What a delayed work has as its timer. */
struct bottomhalf_timer {
    void *bottomhalf_node[3];
    /* The jiffy that the delay ends with, while the work is pending. */
    unsigned long expires;
    BOTTOMHALF_HIGH_HALF(bottomhalf_expires_high)
    uint64_t bottomhalf_deadline;
};

/* A delayed work. */
struct delayed_work {
    struct work_struct work;
    struct bottomhalf_timer timer;
    struct workqueue_struct *wq;
    int cpu;
    uint32_t bottomhalf_flags;
};

/* Room for execute_in_process_context(). */
struct execute_work {
    struct work_struct work;
};

/* The word of a work that is initialised and idle, and the link of one that is on no list. */
#define BOTTOMHALF_WORK_IDLE 8
#define BOTTOMHALF_UNLINKED ((struct list_head *)1)

/* Initialisers without the names of members, which C++17 does not take. */
#define BOTTOMHALF_WORK(function) \
    { \
        { BOTTOMHALF_WORK_IDLE }, BOTTOMHALF_ZERO_HIGH \
        { BOTTOMHALF_UNLINKED, BOTTOMHALF_UNLINKED }, (function) \
    }
#define BOTTOMHALF_DELAYED_WORK(function) \
    { \
        BOTTOMHALF_WORK(function), { { NULL, NULL, NULL }, 0, BOTTOMHALF_ZERO_HIGH 0 }, NULL, 0, 0 \
    }
/* Of the first union this initialises `callback`, its first member. */
#define BOTTOMHALF_TASKLET(function, is_callback, disabled, data) \
    { \
        NULL, 0, BOTTOMHALF_ZERO_HIGH \
        { (disabled) }, (is_callback), { 0, 0, 0 }, { (function) }, BOTTOMHALF_DATUM(data) \
    }

#define BOTTOMHALF_OFFSET(type, member, offset) \
    BOTTOMHALF_STATIC_ASSERT(offsetof(struct type, member) == (offset), "bottomhalf: " #type "." #member)
#define BOTTOMHALF_SIZE(type, size) \
    BOTTOMHALF_STATIC_ASSERT(sizeof(struct type) == (size), "bottomhalf: the size of " #type)

BOTTOMHALF_SIZE(tasklet_struct, 40);
BOTTOMHALF_OFFSET(tasklet_struct, next, 0);
BOTTOMHALF_OFFSET(tasklet_struct, state, 8);
BOTTOMHALF_OFFSET(tasklet_struct, count, 16);
BOTTOMHALF_OFFSET(tasklet_struct, use_callback, 20);
BOTTOMHALF_OFFSET(tasklet_struct, callback, 24);
BOTTOMHALF_OFFSET(tasklet_struct, func, 24);
#ifdef BOTTOMHALF_LP64
BOTTOMHALF_OFFSET(tasklet_struct, data, 32);
#else
BOTTOMHALF_OFFSET(tasklet_struct, bottomhalf_data, 32);
#endif
BOTTOMHALF_SIZE(work_struct, 32);
BOTTOMHALF_OFFSET(work_struct, data, 0);
BOTTOMHALF_OFFSET(work_struct, entry, 8);
BOTTOMHALF_OFFSET(work_struct, func, 24);
BOTTOMHALF_SIZE(bottomhalf_timer, 40);
BOTTOMHALF_OFFSET(bottomhalf_timer, expires, 24);
BOTTOMHALF_OFFSET(bottomhalf_timer, bottomhalf_deadline, 32);
BOTTOMHALF_SIZE(delayed_work, 88);
BOTTOMHALF_OFFSET(delayed_work, work, 0);
BOTTOMHALF_OFFSET(delayed_work, timer, 32);
BOTTOMHALF_OFFSET(delayed_work, wq, 72);
BOTTOMHALF_OFFSET(delayed_work, cpu, 80);
BOTTOMHALF_OFFSET(delayed_work, bottomhalf_flags, 84);
BOTTOMHALF_SIZE(execute_work, 32);

BOTTOMHALF_END

#endif
