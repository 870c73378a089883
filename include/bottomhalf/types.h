/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The few types of Linux that the items consist of, and container_of. Names and interfaces are Linux's;
 * nothing else is taken from it.
 *
 * A port that has its own linux/types.h defines BOTTOMHALF_OWN_TYPES and includes it first. It then has to
 * define struct list_head { next, prev }, atomic_t and atomic_long_t (a member `counter`, an int and a long).
 * Or it takes them from here, by including this file.
 */
#ifndef BOTTOMHALF_TYPES_H
#define BOTTOMHALF_TYPES_H

#include <bottomhalf/compiler.h>

#ifndef BOTTOMHALF_OWN_TYPES
struct list_head {
    struct list_head *next, *prev;
};

typedef struct {
    int counter;
} atomic_t;

typedef struct {
    long counter;
} atomic_long_t;
#endif

BOTTOMHALF_STATIC_ASSERT(sizeof(struct list_head) == 16, "bottomhalf: struct list_head is two pointers");
BOTTOMHALF_STATIC_ASSERT(sizeof(atomic_t) == 4, "bottomhalf: atomic_t is an int");
BOTTOMHALF_STATIC_ASSERT(sizeof(atomic_long_t) == sizeof(long), "bottomhalf: atomic_long_t is a long");

#ifndef container_of
/*
 * The `type` whose member `member` is what `pointer` points to; for a delayed work the member is `name.work`.
 * A pointer of another type than the member's does not compile without a warning, and not at all in C++; a
 * pointer to void is taken at its word. The pointer is evaluated once.
 *
 * IRQL: any. Does not block.
 */
#define container_of(pointer, type, member) \
    ((type *)((char *)(1 ? (pointer) : &((type *)0)->member) - offsetof(type, member)))
#endif

#endif
