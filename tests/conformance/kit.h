/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The kit of the conformance scenarios: kernel-neutral C that builds as a module of a Linux kernel and,
 * against the headers of this repository, for the simulated KMDF. One scenario asks one question and
 * prints one line, `T04 state=3 runs=2`, which is the same on every correct run.
 *
 * The Linux names that the kit uses, and all that scenarios may use besides tasklets, works, delayed works,
 * workqueues and the helpers of jiffies, bottom_half and preempt:
 *
 *   linux/atomic.h      atomic_t ATOMIC_INIT atomic_read atomic_set atomic_inc atomic_dec atomic_add
 *                       atomic_inc_return atomic_dec_return atomic_add_return atomic_cmpxchg atomic_xchg
 *                       smp_mb smp_rmb smp_wmb
 *   linux/completion.h  struct completion init_completion reinit_completion complete complete_all
 *                       wait_for_completion wait_for_completion_timeout completion_done
 *   linux/delay.h       msleep udelay mdelay
 *   linux/err.h         IS_ERR PTR_ERR
 *   linux/errno.h       EINVAL ENOENT ENOMEM
 *   linux/hrtimer.h     struct hrtimer hrtimer_init ->function hrtimer_start hrtimer_cancel HRTIMER_NORESTART
 *                       HRTIMER_MODE_REL_PINNED_HARD CLOCK_MONOTONIC enum hrtimer_restart
 *   linux/ktime.h       ktime_t ktime_get ktime_to_ns ns_to_ktime
 *   linux/kernel.h      container_of snprintf scnprintf ARRAY_SIZE min max READ_ONCE WRITE_ONCE
 *   linux/kthread.h     kthread_create kthread_bind wake_up_process struct task_struct current
 *   linux/sched.h       cond_resched schedule_timeout_uninterruptible
 *   linux/slab.h        kmalloc kzalloc kfree GFP_KERNEL GFP_ATOMIC
 *   linux/smp.h         raw_smp_processor_id num_online_cpus
 *   linux/spinlock.h    spinlock_t DEFINE_SPINLOCK spin_lock_init spin_lock spin_unlock spin_lock_bh
 *                       spin_unlock_bh spin_lock_irqsave spin_unlock_irqrestore irqs_disabled
 *   linux/string.h      memset memcpy memcmp strcmp strlen strchr
 *   linux/types.h       bool u32 u64 s64 size_t
 *   linux/version.h     LINUX_VERSION_CODE KERNEL_VERSION
 */
#ifndef CONFORMANCE_KIT_H
#define CONFORMANCE_KIT_H

#include <linux/atomic.h>
#include <linux/bottom_half.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/version.h>
#include <linux/workqueue.h>

/*
 * What the surroundings provide: the module's main file in a kernel, the runner on the simulated KMDF.
 */

/* Takes one line, without its end. */
void conformance_emit(const char *line);
/* How many warnings the kernel (or bottomhalf) has printed so far. */
unsigned int conformance_diagnostics(void);

/* ---- What the surroundings call. ---- */

/*
 * Runs the scenarios of the groups in a list with commas, or of all groups if it is NULL or "all"; of
 * these only the ids in the list `only`, unless it is NULL or "". Returns how many ran, or -ENOENT.
 * Sleeps; one call at a time.
 */
int conformance_run(const char *group, const char *only);
/* The id of the scenario with this number and the name of its group, or false behind the last one. */
bool conformance_scenario(unsigned int number, const char **id, const char **group);

/* ---- Scenarios. ---- */

struct kit_scenario {
    const char *id;
    void (*run)(void);
};

struct kit_group {
    const char *name;
    const struct kit_scenario *scenarios;
    unsigned int count;
};

/* SCENARIO(T01) { ... answer("runs", n); }  A scenario runs in a thread of its own that is bound to CPU 0. */
#define SCENARIO(id) static void scenario_##id(void)
#define KIT_ROW(id)                                                                                          \
    {                                                                                                        \
        #id, scenario_##id                                                                                   \
    }
/*
 * Ends a file: KIT_GROUP(tasklets, "tasklets", KIT_ROW(T01), KIT_ROW(T02)); the first name is the file's,
 * which is also in the list of kit.c; the second the group's, which several files may share.
 */
#define KIT_GROUP(file, group, ...)                                                                          \
    static const struct kit_scenario file##_scenarios[] = {__VA_ARGS__};                                     \
    const struct kit_group kit_group_##file = {group, file##_scenarios, ARRAY_SIZE(file##_scenarios)}

/* One more ` key=value` on the scenario's line. Called by the scenario's own thread only. */
void answer(const char *key, long long value);
void answer_text(const char *key, const char *value);
/* How many warnings since the scenario began; to be compared only, for no two kernels count alike. Sleeps. */
unsigned int kit_diagnosed(void);

/* ---- Waiting. Nothing waits for ever: what takes too long makes the line `T04 HANG condition`. ---- */

/*
 * A scenario that hangs goes on to its end; all waits then return at once, and nothing it answers is
 * printed.
 */
void kit_hang(const char *what);
bool kit_is_hung(void);
bool kit_sleep_step(unsigned int *steps, const char *what);
bool kit_spin_step(unsigned int *steps, const char *what);

/* Sleeps until the condition holds. */
#define kit_wait_until(condition)                                                                            \
    do {                                                                                                     \
        unsigned int kit_steps = 0;                                                                          \
        while (!(condition) && kit_sleep_step(&kit_steps, #condition)) {                                     \
        }                                                                                                    \
    } while (0)

/* The same in any context: spins. */
#define kit_spin_until(condition)                                                                            \
    do {                                                                                                     \
        unsigned int kit_steps = 0;                                                                          \
        while (!(condition) && kit_spin_step(&kit_steps, #condition)) {                                      \
        }                                                                                                    \
    } while (0)

/* Sleeps long enough for all that can happen without the caller's doing: for "and nothing has happened". */
void kit_settle(void);
/* Uses the CPU for that long, in any context. */
void kit_burn_ms(unsigned int ms);

/*
 * A gate holds whoever comes until it is opened. A work or a thread passes with kit_gate_sleep(), a
 * tasklet with kit_gate_spin(). kit_gate_init() before each use.
 */
struct kit_gate {
    struct completion opened;
    atomic_t is_open;
    atomic_t arrived;
};

void kit_gate_init(struct kit_gate *gate);
void kit_gate_sleep(struct kit_gate *gate);
void kit_gate_spin(struct kit_gate *gate);
void kit_gate_open(struct kit_gate *gate);
/* Sleeps until that many have come. */
void kit_gate_await(struct kit_gate *gate, int arrived);

/* ---- Counting what ran, where, and in which order. ---- */

#define KIT_RUNS 64

struct kit_seen {
    atomic_t begun;
    atomic_t ended;
    atomic_t inside;
    atomic_t most;
    atomic_t cpus[KIT_RUNS];
};

void kit_seen_init(struct kit_seen *seen);
/* Returns the number of this run, from 1. */
int kit_enter(struct kit_seen *seen);
void kit_leave(struct kit_seen *seen);
static inline int kit_begun(struct kit_seen *seen) { return atomic_read(&seen->begun); }
static inline int kit_ended(struct kit_seen *seen) { return atomic_read(&seen->ended); }
/* How many were inside at once at most. */
static inline int kit_most(struct kit_seen *seen) { return atomic_read(&seen->most); }
/* The CPU on which a run began, numbered from 1; -1 if there was no such run. */
int kit_cpu_of(struct kit_seen *seen, int run);

/* Letters in the order in which they were written, from any context. */
#define KIT_MARKS 128

struct kit_marks {
    atomic_t count;
    char text[KIT_MARKS];
};

void kit_marks_init(struct kit_marks *marks);
void kit_mark(struct kit_marks *marks, char letter);
/* answer_text of what has been written. */
void answer_marks(const char *key, struct kit_marks *marks);

/* ---- Threads and interrupts. ---- */

struct kit_thread;

/* Starts fn(arg) in a thread bound to a CPU. At most 40 at a time; joined by the end of the scenario. */
struct kit_thread *kit_thread_on(int cpu, void (*fn)(void *arg), void *arg);
bool kit_thread_done(struct kit_thread *thread);
void kit_join(struct kit_thread *thread);
/* Runs fn(arg) in a thread bound to a CPU, or in a hard interrupt on it, and returns when it has ended. */
void kit_run_on(int cpu, void (*fn)(void *arg), void *arg);
void kit_hardirq_on(int cpu, void (*fn)(void *arg), void *arg);
/* The same on this CPU, from a thread or a BH-off section: spins until it has ended. One at a time. */
void kit_hardirq_here(void (*fn)(void *arg), void *arg);

#endif
