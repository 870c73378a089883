/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What check.c (Linux's names), report.c and driver.c (NT's names) have of each other. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>

/* A number that several CPUs count at once. */
typedef volatile long counter;

/* What the checks have found: a line for each, and the sum. */
struct report {
    char text[2048];
    unsigned int length;
    unsigned int passed;
    unsigned int failed;
};

/* An empty one; the line of a check, with what was seen instead of the promise, or NULL; the last line. */
void report_begin(struct report *report);
void report_check(struct report *report, const char *name, const char *otherwise);
void report_sum(struct report *report);

/*
 * Attaches, runs every check, and detaches. Nothing of the image is attached before.
 *
 * IRQL: = PASSIVE. Blocks.
 */
void check_run(struct report *report);

/* The driver's. Attach and detach bottomhalf; false if that fails. */
bool driver_attach(void);
void driver_detach(void);

/* Sleeps, at PASSIVE_LEVEL; spins, for microseconds, at any level. */
void driver_sleep_ms(int ms);
void driver_stall_us(unsigned int us);

/* Adds, in one step that all CPUs see, and returns the sum. */
long driver_add(counter *number, long change);

#endif
