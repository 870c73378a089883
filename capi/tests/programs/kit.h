/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The rig of the test programs: a scenario is a function, which runs on a simulated machine with the driver
 * attached, for a range of seeds and under both rules for works. `PROGRAM NAME FIRST SEEDS [plant]`; with
 * "plant" the scenario has a mistake planted, and has to be convicted.
 */
#ifndef KIT_H
#define KIT_H

#include <bottomhalf.h>
#include <kmdf_mock.h>
#include <linux/interrupt.h>
#include <linux/workqueue.h>

#define JIFFY_100NS 40000ull
#define TAG 0x52454550u /* "PEER" */

struct scenario {
    const char *name;
    void (*run)(void);
    /* Codes that the scenario reports, all of them, and no other. */
    const char *reports;
    /* It runs with every allocation failing from some point after the attach on. */
    bool without_memory;
    /* It makes a mistake that ends the machine, or leaves something pending. */
    bool may_leave;
    /* The machine has threads enough for every work that waits. */
    bool roomy;
};

/* Ends with an empty one. */
extern const struct scenario scenarios[];

/* Whether the mistake is planted. */
extern bool planted;
/* Whether the rule for works is BOTTOMHALF_NON_REENTRANT. */
extern bool non_reentrant;
extern WDFDRIVER the_driver;

#define CHECK(condition) KMDF_MOCK_ASSERT(condition)

/* Fails unless both are the same; says what, and both. */
void check_same(const char *what, unsigned long long found, unsigned long long wanted);

/* What threads wait for until it is opened. */
struct gate {
    KEVENT event;
};
void gate_init(struct gate *gate);
void gate_open(struct gate *gate);
void gate_wait(struct gate *gate);

/* Non-paged memory with a page of its own, zeroed; freed it is out of reach. */
void *allocate(size_t size);
void release(void *memory);

void sleep_jiffies(unsigned int jiffies_);
/* Passes a number of preemption points that the seed picks, at any IRQL. */
void give_way(uint32_t most);

/* Gives the condition time to become true, without end; the machine finds out if nothing can. */
#define WAIT_UNTIL(condition)                   \
    do {                                        \
        while (!(condition))                    \
            kmdf_mock_sleep_100ns(JIFFY_100NS); \
    } while (0)

/* A work, and a delayed work, that counts its runs, and waits at a gate in each if it has one. */
struct item {
    struct delayed_work dwork;
    struct gate *gate;
    unsigned int runs;
    unsigned int inside;
    unsigned int most_inside;
};
struct item *item_new(struct gate *gate);
void item_free(struct item *item);
/* The function of every item. */
void item_run(struct work_struct *work);

/* The BH codes that were reported since the last call; good until the next one. */
const char *fresh_reports(void);

#endif
