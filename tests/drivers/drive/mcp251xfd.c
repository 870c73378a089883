/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Drives mcp251xfd-timestamp.c: a 32-bit counter that wraps after a few periods is read once a period, so
 * that a period that is left out shows as time that is missing.
 */
#include <linux/completion.h>

#include "mcp251xfd.h"

#include "compat.h"
#include "drive.h"

unsigned long mcp251xfd_stub_delay_sec;

static struct net_device ndev = {.name = "can0"};
static struct mcp251xfd_priv priv = {.ndev = &ndev};

static struct drive_runs reads;
static long wrong_irql;
static long fail;
static u64 last_read;
/* Longest and shortest time between two reads of the work. */
static u64 longest, shortest;

static struct completion inside;
static struct completion go_on;
static long hold;

/* Half nanoseconds of a step of the counter: it wraps after three to four periods. */
static u32 step(void)
{
    return drive_is_live() ? 2 : 63;
}

/* The counter runs with the clock of the chip. */
static u32 counter_now(void)
{
    return (u32)(drive_now_100ns() * 200 / step());
}

int mcp251xfd_get_timestamp_raw(const struct mcp251xfd_priv *asked, u32 *ts_raw)
{
    u64 now = drive_now_100ns();

    EFFECT(asked == &priv, "the counter is the device's");
    drive_enter(&reads);
    if (drive_irql() != DRIVE_PASSIVE)
        drive_add(&wrong_irql, 1);
    if (last_read) {
        u64 gap = now - last_read;

        longest = gap > longest ? gap : longest;
        shortest = shortest && shortest < gap ? shortest : gap;
    }
    last_read = now;
    if (drive_get(&hold)) {
        complete(&inside);
        wait_for_completion(&go_on);
    }
    *ts_raw = counter_now();
    drive_leave(&reads);
    return drive_get(&fail) ? -5 : 0;
}

u64 ktime_get_real_ns(void)
{
    return 1000000;
}

void timecounter_init(struct timecounter *tc, const struct cyclecounter *cc, u64 start_tstamp)
{
    tc->cc = cc;
    tc->cycle_last = cc->read(cc);
    tc->nsec = start_tstamp;
}

u64 timecounter_read(struct timecounter *tc)
{
    u64 now = tc->cc->read(tc->cc);
    u64 steps = (now - tc->cycle_last) & tc->cc->mask;

    tc->cycle_last = now;
    tc->nsec += steps * tc->cc->mult >> tc->cc->shift;
    return tc->nsec;
}

static unsigned long period(void)
{
    return mcp251xfd_stub_delay_sec * HZ;
}

static void reads_every_period(void)
{
    u64 second = 10000000;
    u64 began = drive_now_100ns();
    unsigned long periods = drive_is_live() ? 4 : 10;
    u64 elapsed, counted;

    mcp251xfd_timestamp_start(&priv);
    EFFECT(drive_get(&reads.runs) == 1, "the start reads the counter");
    drive_sleep(periods * period() + period() / 2);
    EFFECT(drive_get(&reads.runs) == (long)periods + 1, "then it is read once a period");
    EFFECT(shortest >= mcp251xfd_stub_delay_sec * second, "never before the period is over");
    EFFECT(longest <= (mcp251xfd_stub_delay_sec + 1) * second, "and soon after it");
    EFFECT(drive_get(&wrong_irql) == 0, "at PASSIVE_LEVEL");
    elapsed = (last_read - began) * 100;
    counted = priv.tc.nsec - 1000000;
    EFFECT(counted + 20000000 > elapsed && counted < elapsed + 20000000,
           "the time that is counted is the time that has gone by, over the wraps of the counter");
}

static void an_error_is_printed_and_the_work_goes_on(void)
{
    long printed = drive_printed("Error -5 while reading timestamp");
    long runs = drive_get(&reads.runs);

    drive_set(&fail, 1);
    drive_sleep(2 * period());
    drive_set(&fail, 0);
    EFFECT(drive_printed("Error -5 while reading timestamp") > printed, "an error is printed");
    EFFECT(drive_get(&reads.runs) >= runs + 2, "and the next period is read all the same");
}

static long stopped;

static void stop(void *context)
{
    (void)context;
    mcp251xfd_timestamp_stop(&priv);
    EFFECT(drive_get(&reads.inside) == 0, "the stop waits for a read");
    drive_set(&stopped, 1);
}

static void stops_while_it_reads(void)
{
    struct drive_thread *thread;
    long runs;

    drive_set(&hold, 1);
    wait_for_completion(&inside);
    thread = drive_spawn("stop", -1, stop, NULL);
    drive_sleep(5);
    EFFECT(drive_get(&stopped) == 0, "the stop does not return while a read is under way");
    drive_set(&hold, 0);
    complete(&go_on);
    drive_join(thread);
    runs = drive_get(&reads.runs);
    drive_sleep(3 * period());
    EFFECT(drive_get(&reads.runs) == runs, "nothing is read after the stop");
    EFFECT(!delayed_work_pending(&priv.timestamp), "and nothing is to come");
}

static void body(void)
{
    mcp251xfd_stub_delay_sec = drive_is_live() ? 1 : 45;
    priv.can.clock.freq = 2000000000u / step();
    init_completion(&inside);
    init_completion(&go_on);
    mcp251xfd_timestamp_init(&priv);
    reads_every_period();
    an_error_is_printed_and_the_work_goes_on();
    stops_while_it_reads();

    last_read = 0;
    mcp251xfd_timestamp_start(&priv);
    drive_sleep(period() + period() / 2);
    EFFECT(longest <= (mcp251xfd_stub_delay_sec + 1) * (u64)10000000, "it can be started again");
    mcp251xfd_timestamp_stop(&priv);
}

const struct drive_program drive_program = {
    .name = "mcp251xfd",
    .body = body,
    .allowed_reports = NULL,
};
