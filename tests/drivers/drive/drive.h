/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the programs of this folder share. Each is linked with one file of Linux, drives it on a simulated
 * machine and asserts its effects; drive.c has main().
 */
#ifndef DRIVE_H
#define DRIVE_H

#include <linux/interrupt.h>
#include <linux/jiffies.h>
#include <linux/types.h>
#include <linux/workqueue.h>

/* What a program is about. Each defines one, named `drive_program`. */
struct drive_program {
    const char *name;
    /* Runs in a system thread of the simulated machine, with the driver attached. */
    void (*body)(void);
    /* Codes of diagnostics that belong to the scenario, each followed by a space, or NULL. */
    const char *allowed_reports;
};
extern const struct drive_program drive_program;

/* Fails the run unless the condition holds. The text names the effect; each is counted once. */
#define EFFECT(condition, text) drive_effect((condition), (text), __FILE__, __LINE__)
void drive_effect(bool held, const char *text, const char *file, int line);

/* Whether time is real, so that nothing is known about how late things are. */
bool drive_is_live(void);
/* A number below `n`, from the seed. */
unsigned int drive_choose(unsigned int n);

struct drive_thread;
typedef void (*drive_fn)(void *context);

/* A system thread, tied to a CPU unless that is -1. */
struct drive_thread *drive_spawn(const char *name, int cpu, drive_fn fn, void *context);
void drive_join(struct drive_thread *thread);
/* Calls the function in an interrupt of the CPU and returns when it has returned. */
void drive_interrupt(int cpu, drive_fn fn, void *context);
/* Returns when nothing can run before time passes. */
void drive_settle(void);
/* At least so many jiffies. */
void drive_sleep(unsigned long count);
/* Uses the CPU, at any IRQL. */
void drive_burn(unsigned int microseconds);
unsigned int drive_irql(void);
int drive_cpu(void);
u64 drive_now_100ns(void);
/* Suspends the machine as far as freezable queues go, and goes on. */
void drive_freeze(void);
void drive_thaw(void);
/* How many lines with this text were printed so far. */
long drive_printed(const char *text);

#define DRIVE_PASSIVE 0u
#define DRIVE_DISPATCH 2u

/* Waits until the condition holds, for a bounded time; whether it does is for an EFFECT to say. */
#define DRIVE_WAIT(condition)                                                                                \
    do {                                                                                                     \
        int drive_left = 5000;                                                                               \
        while (!(condition) && drive_left-- > 0)                                                             \
            drive_sleep(1);                                                                                  \
    } while (0)

/* Numbers that threads, interrupts and callbacks share. */
static inline long drive_add(long *number, long count)
{
    return __atomic_add_fetch(number, count, __ATOMIC_SEQ_CST);
}

static inline long drive_get(const long *number)
{
    return __atomic_load_n(number, __ATOMIC_SEQ_CST);
}

static inline void drive_set(long *number, long value)
{
    __atomic_store_n(number, value, __ATOMIC_SEQ_CST);
}

/* How often a function runs, and how often at one time. */
struct drive_runs {
    long runs;
    long inside;
    long most;
};

static inline long drive_enter(struct drive_runs *runs)
{
    long inside = drive_add(&runs->inside, 1);

    if (inside > drive_get(&runs->most))
        drive_set(&runs->most, inside);
    return drive_add(&runs->runs, 1);
}

static inline void drive_leave(struct drive_runs *runs)
{
    drive_add(&runs->inside, -1);
}

#endif
