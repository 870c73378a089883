/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A tasklet that tells what becomes of it: for the scenarios of tasklets. */
#ifndef CONFORMANCE_PROBE_H
#define CONFORMANCE_PROBE_H

#include "kit.h"

struct probe {
    struct tasklet_struct tasklet;
    struct kit_seen seen;
    struct kit_gate gate;
    /* Where it writes its letter; may be NULL. */
    struct kit_marks *marks;
    char letter;
};

static inline struct probe *probe_of(struct tasklet_struct *t)
{
    return container_of(t, struct probe, tasklet);
}

/* Runs and notes it. */
static inline void probe_run(struct tasklet_struct *t)
{
    struct probe *probe = from_tasklet(probe, t, tasklet);

    kit_enter(&probe->seen);
    if (probe->marks)
        kit_mark(probe->marks, probe->letter);
    kit_leave(&probe->seen);
}

/* As probe_run, but the first run waits at the gate. */
static inline void probe_run_gated(struct tasklet_struct *t)
{
    struct probe *probe = from_tasklet(probe, t, tasklet);

    if (kit_enter(&probe->seen) == 1)
        kit_gate_spin(&probe->gate);
    kit_leave(&probe->seen);
}

static inline void probe_init(struct probe *probe, void (*fn)(struct tasklet_struct *t))
{
    kit_seen_init(&probe->seen);
    kit_gate_init(&probe->gate);
    probe->marks = NULL;
    tasklet_setup(&probe->tasklet, fn);
}

/* As probe_init with probe_run, and a letter for each run. */
static inline void probe_letter(struct probe *probe, char letter, struct kit_marks *marks)
{
    probe_init(probe, probe_run);
    probe->letter = letter;
    probe->marks = marks;
}

static inline unsigned long probe_state(struct probe *probe)
{
    return (unsigned long)READ_ONCE(probe->tasklet.state);
}

/* Threads and interrupts call these. */
static inline void probe_schedule(void *probe)
{
    tasklet_schedule(&((struct probe *)probe)->tasklet);
}

static inline void probe_hi_schedule(void *probe)
{
    tasklet_hi_schedule(&((struct probe *)probe)->tasklet);
}

static inline void probe_kill(void *probe)
{
    tasklet_kill(&((struct probe *)probe)->tasklet);
}

static inline void probe_disable(void *probe)
{
    tasklet_disable(&((struct probe *)probe)->tasklet);
}

/*
 * Schedules a gated probe on a CPU and returns when it is at its gate. The thread may be under the
 * tasklet.
 */
static inline struct kit_thread *probe_hold(struct probe *probe, int cpu)
{
    struct kit_thread *thread;

    probe_init(probe, probe_run_gated);
    thread = kit_thread_on(cpu, probe_schedule, probe);
    kit_gate_await(&probe->gate, 1);
    return thread;
}

static inline void probe_release(struct probe *probe, struct kit_thread *thread)
{
    kit_gate_open(&probe->gate);
    kit_join(thread);
}

/* Sleeps until the probe has run that often, and until it could have run once more. */
static inline void probe_await(struct probe *probe, int runs)
{
    kit_wait_until(kit_ended(&probe->seen) >= runs);
    kit_settle();
}

#endif
