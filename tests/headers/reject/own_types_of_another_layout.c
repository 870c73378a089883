/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A port whose own list is larger than the one that the engine links.
 *
 * all both: struct list_head is two pointers
 * all both: the size of work_struct
 */
#define BOTTOMHALF_OWN_TYPES

struct list_head {
    struct list_head *next, *prev, *owner;
};
typedef struct {
    int counter;
} atomic_t;
typedef struct {
    long counter;
} atomic_long_t;

#include <linux/workqueue.h>
