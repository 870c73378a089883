/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The promises of bottomhalf, one check for each, as a driver of Linux is written. examples/kmdf-rust checks
 * the same ones, in the same order and by the same names; closures, which C has not, are left out.
 */
#include <linux/bottom_half.h>
#include <linux/interrupt.h>
#include <linux/jiffies.h>
#include <linux/workqueue.h>

#include "check.h"

/* A check returns NULL, or what was seen instead. */
#define EXPECT(kept, otherwise) \
    do {                        \
        if (!(kept))            \
            return (otherwise); \
    } while (0)

/* How often something ran, how many runs are inside, and how often one began while another was. */
struct runs {
    counter begun;
    counter inside;
    counter overlapped;
};

static void reset(struct runs *runs)
{
    runs->begun = 0;
    runs->inside = 0;
    runs->overlapped = 0;
}

/* A run begins. Returns which, from 1. */
static long begin(struct runs *runs)
{
    if (driver_add(&runs->inside, 1) > 1)
        driver_add(&runs->overlapped, 1);
    return driver_add(&runs->begun, 1);
}

static void end(struct runs *runs)
{
    driver_add(&runs->inside, -1);
}

static bool ran_in_parallel(struct runs *runs)
{
    return driver_add(&runs->overlapped, 0) > 0;
}

static long get(counter *number)
{
    return driver_add(number, 0);
}

/* Waits until a number is at least so large, for five seconds at most. Whether it is. */
static bool soon(counter *number, long least)
{
    int ms;

    for (ms = 0; ms < 5000 && get(number) < least; ms++)
        driver_sleep_ms(1);
    return get(number) >= least;
}

static struct runs once_runs;

static void once(struct tasklet_struct *tasklet)
{
    (void)tasklet;
    begin(&once_runs);
    end(&once_runs);
}

static DECLARE_TASKLET(once_tasklet, once);

/* A tasklet that is scheduled runs once, and once if it is scheduled twice before that. */
static const char *tasklet_once(void)
{
    long early;

    reset(&once_runs);
    local_bh_disable();
    tasklet_schedule(&once_tasklet);
    tasklet_schedule(&once_tasklet);
    early = get(&once_runs.begun);
    local_bh_enable();
    EXPECT(early == 0, "it ran while bottom halves were disabled");
    EXPECT(soon(&once_runs.begun, 1), "it did not run");
    driver_sleep_ms(20);
    EXPECT(get(&once_runs.begun) == 1, "scheduled twice, it ran twice");
    tasklet_schedule(&once_tasklet);
    EXPECT(soon(&once_runs.begun, 2), "it did not run again");
    return NULL;
}

static struct runs loaded_runs;

static void loaded(struct tasklet_struct *tasklet)
{
    (void)tasklet;
    begin(&loaded_runs);
    driver_stall_us(2);
    end(&loaded_runs);
}

static DECLARE_TASKLET(loaded_tasklet, loaded);

static void load(struct work_struct *work)
{
    int i;

    (void)work;
    for (i = 0; i < 100; i++) {
        tasklet_schedule(&loaded_tasklet);
        driver_stall_us(1);
    }
}

static struct work_struct load_works[4];

/* A tasklet never runs on two processors at once, whoever schedules it. */
static const char *tasklet_never_parallel(void)
{
    struct workqueue_struct *queue = alloc_workqueue("check-load", WQ_UNBOUND, 0);
    int i;

    EXPECT(queue, "no memory");
    reset(&loaded_runs);
    for (i = 0; i < 4; i++) {
        INIT_WORK(&load_works[i], load);
        queue_work(queue, &load_works[i]);
    }
    destroy_workqueue(queue);
    tasklet_kill(&loaded_tasklet);
    EXPECT(get(&loaded_runs.begun) > 0, "it did not run");
    EXPECT(!ran_in_parallel(&loaded_runs), "it ran on two processors at once");
    return NULL;
}

static counter killed_done;

static void killed(struct tasklet_struct *tasklet)
{
    (void)tasklet;
    driver_stall_us(200);
    driver_add(&killed_done, 1);
}

static DECLARE_TASKLET(killed_tasklet, killed);

/* When tasklet_kill returns, what was scheduled has run to its end. */
static const char *tasklet_kill_waits(void)
{
    killed_done = 0;
    tasklet_schedule(&killed_tasklet);
    tasklet_kill(&killed_tasklet);
    EXPECT(get(&killed_done) == 1, "it had not ended");
    return NULL;
}

static counter gate_open;
static struct runs behind_runs;

/* Holds an ordered queue until it is opened. */
static void gate(struct work_struct *work)
{
    (void)work;
    soon(&gate_open, 1);
}

static void behind(struct work_struct *work)
{
    (void)work;
    begin(&behind_runs);
    end(&behind_runs);
}

static DECLARE_WORK(gate_work, gate);
static DECLARE_WORK(behind_work, behind);

/* A work that is queued twice before it runs runs once; a cancelled one does not run. */
static const char *work_once(void)
{
    struct workqueue_struct *queue = alloc_ordered_workqueue("check-once", 0);
    bool first, second, cancelled, after;
    long ran;

    EXPECT(queue, "no memory");
    reset(&behind_runs);
    gate_open = 0;
    queue_work(queue, &gate_work);
    first = queue_work(queue, &behind_work);
    cancelled = cancel_work_sync(&behind_work);
    after = queue_work(queue, &behind_work);
    second = queue_work(queue, &behind_work);
    driver_add(&gate_open, 1);
    flush_workqueue(queue);
    ran = get(&behind_runs.begun);
    destroy_workqueue(queue);
    EXPECT(first && after, "queue_work refused an idle work");
    EXPECT(!second, "queue_work took a pending work");
    EXPECT(cancelled, "cancel_work_sync did not find a pending work");
    EXPECT(ran == 1, "it did not run exactly once");
    return NULL;
}

#define AGAIN_TIMES 10
static struct runs again_runs;

static void again(struct work_struct *work)
{
    if (begin(&again_runs) < AGAIN_TIMES) {
        schedule_work(work);
        driver_stall_us(20);
    }
    end(&again_runs);
}

static DECLARE_WORK(again_work, again);

/* A work that queues itself while it runs runs again, and never in parallel with itself. */
static const char *work_requeues_itself(void)
{
    reset(&again_runs);
    schedule_work(&again_work);
    EXPECT(soon(&again_runs.begun, AGAIN_TIMES), "it did not run ten times");
    EXPECT(!cancel_work_sync(&again_work), "it was queued once more");
    EXPECT(get(&again_runs.begun) == AGAIN_TIMES, "it ran more than ten times");
    EXPECT(!ran_in_parallel(&again_runs), "it ran in parallel with itself");
    return NULL;
}

static counter slow_begun, slow_done;

static void slow(struct work_struct *work)
{
    (void)work;
    driver_add(&slow_begun, 1);
    driver_sleep_ms(20);
    driver_add(&slow_done, 1);
}

static DECLARE_WORK(slow_work, slow);

/* Queues the slow work and waits until it runs. */
static bool begin_slow(void)
{
    slow_begun = 0;
    slow_done = 0;
    schedule_work(&slow_work);
    return soon(&slow_begun, 1);
}

/* When flush_work returns, the work has ended. */
static const char *flush_waits(void)
{
    EXPECT(begin_slow(), "it did not run");
    flush_work(&slow_work);
    EXPECT(get(&slow_done) == 1, "it had not ended");
    EXPECT(!flush_work(&slow_work), "flush_work says that an idle work was not idle");
    return NULL;
}

/* When cancel_work_sync returns, the work does not run. */
static const char *cancel_sync_waits(void)
{
    bool pending;

    EXPECT(begin_slow(), "it did not run");
    pending = cancel_work_sync(&slow_work);
    EXPECT(get(&slow_done) == 1, "it had not ended");
    EXPECT(!pending, "a running work was called pending");
    return NULL;
}

static struct runs later_runs;
static volatile unsigned long later_at;

static void later(struct work_struct *work)
{
    (void)work;
    later_at = jiffies;
    begin(&later_runs);
    end(&later_runs);
}

static DECLARE_DELAYED_WORK(later_work, later);

/* A delayed work never runs before its time. */
static const char *delayed_never_early(void)
{
    static const unsigned int delays_ms[] = { 0, 1, 10, 50 };
    unsigned int i;

    for (i = 0; i < sizeof(delays_ms) / sizeof(delays_ms[0]); i++) {
        unsigned long delay = msecs_to_jiffies(delays_ms[i]);
        unsigned long due = jiffies + delay, at;

        reset(&later_runs);
        EXPECT(schedule_delayed_work(&later_work, delay), "an idle delayed work was refused");
        EXPECT(soon(&later_runs.begun, 1), "it did not run");
        at = later_at;
        EXPECT(time_after_eq(at, due), "it ran too early");
        flush_delayed_work(&later_work);
    }
    return NULL;
}

/* mod_delayed_work moves the time, and cancel_delayed_work_sync takes the work back. */
static const char *delayed_mod_and_cancel(void)
{
    reset(&later_runs);
    schedule_delayed_work(&later_work, secs_to_jiffies(3600));
    EXPECT(mod_delayed_work(system_wq, &later_work, msecs_to_jiffies(10)),
           "mod_delayed_work did not find an armed one");
    EXPECT(soon(&later_runs.begun, 1), "it did not run");
    flush_delayed_work(&later_work);
    schedule_delayed_work(&later_work, msecs_to_jiffies(20));
    EXPECT(cancel_delayed_work_sync(&later_work), "cancel_delayed_work_sync did not find an armed one");
    driver_sleep_ms(60);
    EXPECT(get(&later_runs.begun) == 1, "a cancelled one ran");
    return NULL;
}

#define MANY 16
static struct work_struct many_works[MANY];
static counter many_ran, out_of_order;

static void in_order(struct work_struct *work)
{
    if (work != &many_works[driver_add(&many_ran, 1) - 1])
        driver_add(&out_of_order, 1);
}

/* Queues all of them, behind the closed gate, and returns the queue. */
static struct workqueue_struct *queue_many(const char *name)
{
    struct workqueue_struct *queue = alloc_ordered_workqueue("%s", 0, name);
    int i;

    if (!queue)
        return NULL;
    many_ran = 0;
    out_of_order = 0;
    gate_open = 0;
    queue_work(queue, &gate_work);
    for (i = 0; i < MANY; i++) {
        INIT_WORK(&many_works[i], in_order);
        queue_work(queue, &many_works[i]);
    }
    return queue;
}

/* The works of an ordered queue run one after the other, as they were queued. */
static const char *ordered_in_order(void)
{
    struct workqueue_struct *queue = queue_many("check-order");
    long early;

    EXPECT(queue, "no memory");
    early = get(&many_ran);
    driver_add(&gate_open, 1);
    flush_workqueue(queue);
    destroy_workqueue(queue);
    EXPECT(early == 0, "one ran while another did");
    EXPECT(get(&many_ran) == MANY, "not all ran");
    EXPECT(get(&out_of_order) == 0, "they ran out of order");
    return NULL;
}

/* destroy_workqueue returns when everything that was queued has run. */
static const char *destroy_drains(void)
{
    struct workqueue_struct *queue = queue_many("check-destroy");

    EXPECT(queue, "no memory");
    driver_add(&gate_open, 1);
    destroy_workqueue(queue);
    EXPECT(get(&many_ran) == MANY, "not all had run");
    return NULL;
}

static counter busy;
static void busy_tasklet_runs(struct tasklet_struct *tasklet);
static void busy_work_runs(struct work_struct *work);
static void busy_later_runs(struct work_struct *work);
static DECLARE_TASKLET(busy_tasklet, busy_tasklet_runs);
static DECLARE_WORK(busy_work, busy_work_runs);
static DECLARE_DELAYED_WORK(busy_later, busy_later_runs);

static void busy_tasklet_runs(struct tasklet_struct *tasklet)
{
    (void)tasklet;
    driver_add(&busy, 1);
    schedule_work(&busy_work);
}

static void busy_work_runs(struct work_struct *work)
{
    driver_add(&busy, 1);
    tasklet_schedule(&busy_tasklet);
    schedule_work(work);
}

static void busy_later_runs(struct work_struct *work)
{
    (void)work;
    driver_add(&busy, 1);
    schedule_delayed_work(&busy_later, 1);
}

/*
 * Whatever is queued, and goes on queueing itself, has ended when detach returns; and the image can be
 * attached again. It is attached before, and not after.
 */
static const char *removal_under_load(void)
{
    int round;

    for (round = 0; round < 3; round++) {
        bool load_came, quiet;
        long after;

        busy = 0;
        tasklet_schedule(&busy_tasklet);
        schedule_work(&busy_work);
        schedule_delayed_work(&busy_later, 1);
        load_came = soon(&busy, 21);
        driver_detach();
        after = get(&busy);
        driver_sleep_ms(20);
        quiet = get(&busy) == after;
        EXPECT(driver_attach(), "attach failed");
        if (!load_came || !quiet) {
            driver_detach();
            return load_came ? "something ran after detach" : "there was no load";
        }
    }
    driver_detach();
    return NULL;
}

static const struct {
    const char *name;
    const char *(*check)(void);
} checks[] = {
    { "tasklet_once", tasklet_once },
    { "tasklet_never_parallel", tasklet_never_parallel },
    { "tasklet_kill", tasklet_kill_waits },
    { "work_once", work_once },
    { "work_requeues_itself", work_requeues_itself },
    { "flush_waits", flush_waits },
    { "cancel_sync_waits", cancel_sync_waits },
    { "delayed_never_early", delayed_never_early },
    { "delayed_mod_and_cancel", delayed_mod_and_cancel },
    { "ordered_in_order", ordered_in_order },
    { "destroy_drains", destroy_drains },
    /* The last, because it detaches. */
    { "removal_under_load", removal_under_load },
};

void check_run(struct report *report)
{
    unsigned int i;

    report_begin(report);
    if (driver_attach()) {
        for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
            report_check(report, checks[i].name, checks[i].check());
    } else {
        report_check(report, "attach", "attach failed");
    }
    report_sum(report);
}
