// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Delayed works, rows D01, D02 and D22: at which jiffy they run. They are asked where the timelines are, of
 * one CPU whose clock counts instructions: elsewhere a busy machine is late.
 */
#include "items.h"

static struct test_dwork a;

static bool ever_early;

/* Arms, waits for the run, and returns the jiffies from the arming to the run. */
static unsigned long elapsed(struct workqueue_struct *wq, unsigned long delay)
{
    unsigned long armed;

    test_dwork_init(&a);
    queue_delayed_work(wq, &a.dwork, delay);
    armed = a.dwork.timer.expires - delay;
    item_await_ended(&a, 1);
    flush_workqueue(wq);
    if (time_before(a.run.began, armed + delay + 1))
        ever_early = true;
    return a.run.began - armed;
}

/* The shortest time of some attempts: a machine that is busy is late, and none may be early. */
static unsigned long least_elapsed(struct workqueue_struct *wq, unsigned long delay)
{
    unsigned long least = elapsed(wq, delay);
    int tries;

    for (tries = 0; tries < 12 && least > delay + 1 && !kit_is_hung(); tries++)
        least = min(least, elapsed(wq, delay));
    return least;
}

SCENARIO(D01)
{
    struct workqueue_struct *wq = alloc_workqueue("d01", WQ_HIGHPRI, 0);

    ever_early = false;
    answer("delay1", (long long)least_elapsed(wq, 1));
    answer("delay2", (long long)least_elapsed(wq, 2));
    answer("delay3", (long long)least_elapsed(wq, 3));
    answer("delay10", (long long)least_elapsed(wq, 10));
    answer("delay62", (long long)least_elapsed(wq, 62));
    answer("early", ever_early);
    destroy_workqueue(wq);
}

#define LONGER 6

static const unsigned long longer_delays[LONGER] = {63, 64, 100, 503, 504, 505};
static struct test_dwork longer[LONGER];

/* Arms all the longer delays. Returns how many of them end behind their granule. */
static int count_late(struct workqueue_struct *wq)
{
    unsigned long armed[LONGER];
    int i, late = 0;

    for (i = 0; i < LONGER; i++) {
        test_dwork_init(&longer[i]);
        queue_delayed_work(wq, &longer[i].dwork, longer_delays[i]);
        armed[i] = longer[i].dwork.timer.expires - longer_delays[i];
    }
    for (i = 0; i < LONGER; i++) {
        unsigned long granule = longer_delays[i] < 504 ? 8 : 64;

        item_await_ended(&longer[i], 1);
        if (time_before(longer[i].run.began, armed[i] + longer_delays[i] + 1))
            ever_early = true;
        late += time_after(longer[i].run.began, armed[i] + longer_delays[i] + granule);
    }
    flush_workqueue(wq);
    return late;
}

SCENARIO(D02)
{
    struct workqueue_struct *wq = alloc_workqueue("d02", WQ_HIGHPRI, 0);
    int tries = 0, late;

    ever_early = false;
    do
        late = count_late(wq);
    while (late && ++tries < 5 && !kit_is_hung());
    answer("early", ever_early);
    answer("late", late);
    destroy_workqueue(wq);
}

SCENARIO(D22)
{
    struct workqueue_struct *wq = alloc_workqueue("d22", WQ_HIGHPRI, 0);
    unsigned long least = 100, armed;
    int tries;

    for (tries = 0; tries < 12 && least > 1 && !kit_is_hung(); tries++) {
        test_dwork_init(&a);
        queue_delayed_work(wq, &a.dwork, (unsigned long)-1);
        armed = a.dwork.timer.expires + 1;
        item_await_ended(&a, 1);
        flush_workqueue(wq);
        least = min(least, a.run.began - armed);
    }
    answer("elapsed", (long long)least);
    destroy_workqueue(wq);
}

KIT_GROUP(delayed_ticks, "timelines", KIT_ROW(D01), KIT_ROW(D02), KIT_ROW(D22));
