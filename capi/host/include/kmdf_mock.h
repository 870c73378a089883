/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A machine for tests in C: kmdf-mock's two engines, and what a test does in them. Everything but
 * kmdf_mock_run and kmdf_mock_debug_print is called in a run: from its body, from threads and
 * interrupts that it starts, and from the driver's own callbacks.
 */
#ifndef BOTTOMHALF_HOST_KMDF_MOCK_H
#define BOTTOMHALF_HOST_KMDF_MOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wdf.h>

#ifdef __cplusplus
extern "C" {
#endif

enum kmdf_mock_engine {
    KMDF_MOCK_SIM,  /* simulated and deterministic: a seed decides everything and replays it */
    KMDF_MOCK_LIVE, /* threads of the host for CPUs, and real time */
};

enum kmdf_mock_preemption {
    KMDF_MOCK_PREEMPT_NEVER = 1,
    KMDF_MOCK_PREEMPT_SELDOM,
    KMDF_MOCK_PREEMPT_OFTEN, /* the default */
    KMDF_MOCK_PREEMPT_ALWAYS,
};

enum kmdf_mock_verifier {
    KMDF_MOCK_VERIFIER_OFF = 1,
    KMDF_MOCK_VERIFIER_ON,
    KMDF_MOCK_VERIFIER_STRICT, /* the default: a violation ends the run */
};

/*
 * What kmdf_mock_run makes. Zero is the mock's default in every member but the seed, so a machine is
 * written `struct kmdf_mock_machine machine = { .seed = 7, .cpus = 2 };`. What is marked "sim" does
 * nothing on a live machine.
 */
struct kmdf_mock_machine {
    uint32_t engine;          /* enum kmdf_mock_engine */
    uint32_t cpus;            /* active CPUs, 1 to 64; 4 */
    uint64_t seed;            /* sim; KMDF_MOCK_SEED in the environment wins over it */
    uint32_t max_cpus;        /* CPUs that there can ever be; the active ones */
    uint32_t workers;         /* exactly so many system worker threads; NT's 3 and up to 16 more */
    uint32_t tick_100ns;      /* 156250; 40000 is a tick per jiffy at HZ 250 */
    uint32_t preemption;      /* sim; enum kmdf_mock_preemption */
    uint32_t verifier;        /* enum kmdf_mock_verifier */
    uint32_t fail_allocation; /* the allocation, counted from 1, that fails, with all later ones; none */
    uint64_t step_limit;      /* sim; preemption points without rest before SIM_LIVELOCK */
    bool timers_on_time;      /* sim; no standard timer expires a tick late */
    bool by_priority;         /* sim; threads of the highest priority run first */
    bool points_take_no_time; /* sim; only burning, stalling and waiting take time */
    bool non_pnp;             /* the driver has no PnP: it gets no devices */
    PDRIVER_INITIALIZE driver_entry; /* a driver of the test's own; one of the mock's */
};
#ifdef __cplusplus
static_assert(sizeof(struct kmdf_mock_machine) == 64, "kmdf_mock_run has the same layout");
#else
_Static_assert(sizeof(struct kmdf_mock_machine) == 64, "kmdf_mock_run has the same layout");
_Static_assert(offsetof(struct kmdf_mock_machine, step_limit) == 40, "and its members in the same order");
_Static_assert(offsetof(struct kmdf_mock_machine, driver_entry) == 56, "and its members in the same order");
#endif

/*
 * Makes a machine, loads the driver, runs `body` as a thread at PASSIVE_LEVEL, and unloads the driver
 * when it has returned. Returns 0; or 1, after it has printed to standard error what went wrong, the
 * command that replays it first. A live machine that fails ends the process with status 111. A null
 * machine is one of defaults.
 */
int kmdf_mock_run(const struct kmdf_mock_machine *machine,
                  void (*body)(WDFDRIVER driver, void *context), void *context);

/* PnP finds a device of the driver, and takes one away. PASSIVE_LEVEL. */
WDFDEVICE kmdf_mock_add_device(void);
void kmdf_mock_remove_device(WDFDEVICE device);

/*
 * A system thread, bound to `cpu` unless that is negative. Each is joined once at most: that waits for
 * its end, and frees it.
 */
struct kmdf_mock_thread;
struct kmdf_mock_thread *kmdf_mock_spawn(const char *name, int32_t cpu, void (*function)(void *context),
                                         void *context);
void kmdf_mock_join(struct kmdf_mock_thread *thread);
bool kmdf_mock_is_finished(const struct kmdf_mock_thread *thread);
bool kmdf_mock_is_blocked(const struct kmdf_mock_thread *thread);

/*
 * Has `function` called at DIRQL on `cpu`: before this returns if that is the caller's CPU and its IRQL
 * is lower, else when that CPU comes to it.
 */
void kmdf_mock_interrupt(uint32_t cpu, void (*function)(void *context), void *context);

/* Waits until nothing else can run without time passing. PASSIVE_LEVEL. */
void kmdf_mock_settle(void);
/* Sleeps, never shorter. PASSIVE_LEVEL. */
void kmdf_mock_sleep_100ns(uint64_t time);
/* Uses the CPU, at any IRQL. */
void kmdf_mock_burn_100ns(uint64_t time);
/* What a loop that polls does in each round: lets others run. Any IRQL. */
void kmdf_mock_pause(void);

uint64_t kmdf_mock_now_100ns(void);
uint32_t kmdf_mock_current_cpu(void);
uint8_t kmdf_mock_current_irql(void);
/* Brings one more CPU online, below max_cpus, and returns its number. PASSIVE_LEVEL. */
uint32_t kmdf_mock_add_cpu(void);
/* A number below `n` that the seed picks. */
uint32_t kmdf_mock_choose(uint32_t n);
bool kmdf_mock_is_sim(void);
/* The seed of the run; 0 on a live machine. */
uint64_t kmdf_mock_seed(void);

/*
 * The codes of bottomhalf's diagnostics so far, "BH01 BH06", and every line that was printed so far. At
 * most `size` bytes with a zero at the end are written; the length of the whole is returned.
 */
size_t kmdf_mock_reports(char *buffer, size_t size);
size_t kmdf_mock_log(char *buffer, size_t size);
/* Prints a line, as DbgPrint does. */
void kmdf_mock_debug_print(const char *line);

/* Ends the run with a failure that says `text`, unless `condition` holds. */
void kmdf_mock_assert(bool condition, const char *text);

#define KMDF_MOCK_STRING_(text) #text
#define KMDF_MOCK_STRING(text) KMDF_MOCK_STRING_(text)
/* kmdf_mock_assert with the condition's text and its place. */
#define KMDF_MOCK_ASSERT(condition) \
    kmdf_mock_assert((condition),   \
                     #condition " does not hold (" __FILE__ ":" KMDF_MOCK_STRING(__LINE__) ")")

#ifdef __cplusplus
}
#endif

#endif
