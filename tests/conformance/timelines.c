// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The timelines that Linux documents for its workqueues, rows DS1 to DS4, and beyond the table DS450 (an
 * ordered queue is DS1) and DS451 (the default max_active is DS2). Three works for one CPU burn it and
 * sleep; the answers are the milliseconds of each one's begin, steps and end, in the steps of five of the
 * document. They need one CPU, and a clock that nothing else uses up.
 */
#include "kit.h"

#define STEP_MS 5

enum step { BURN_5, SLEEP_10 };

struct timed_work {
    struct work_struct work;
    const enum step *steps;
    int count;
    s64 times[4];
    bool is_done;
};

static const enum step burn_sleep_burn[] = {BURN_5, SLEEP_10, BURN_5};
static struct timed_work works[3];

static void timed_work_main(struct work_struct *work)
{
    struct timed_work *self = container_of(work, struct timed_work, work);
    int i;

    self->times[0] = ktime_to_ns(ktime_get());
    for (i = 0; i < self->count; i++) {
        if (self->steps[i] == BURN_5)
            kit_burn_ms(5);
        else
            usleep_range(10000, 10000);
        self->times[i + 1] = ktime_to_ns(ktime_get());
    }
    WRITE_ONCE(self->is_done, true);
}

/*
 * A time of a work from the beginning of the first one, in whole steps. Nothing takes less than it says, and
 * what is late adds up to less than a step.
 */
static unsigned int time_of(const struct timed_work *self, int step)
{
    unsigned int ms = (u32)(self->times[step] - works[0].times[0]) / 1000000u;

    return ms / STEP_MS * STEP_MS;
}

static void answer_times(const char *key, const struct timed_work *self, int count)
{
    char text[64];
    size_t length = 0;
    int i;

    for (i = 0; i <= count; i++)
        length += scnprintf(text + length, sizeof(text) - length, i ? ",%u" : "%u", time_of(self, i));
    answer_text(key, text);
}

/* w0 burns 5 ms, sleeps 10, burns 5, on the first queue; w1 and w2 burn 5 and sleep 10, on the second. */
static void run_timeline(struct workqueue_struct *first, struct workqueue_struct *second)
{
    int cpu = (int)num_online_cpus() - 1;
    int i;

    for (i = 0; i < 3; i++) {
        INIT_WORK(&works[i].work, timed_work_main);
        works[i].steps = burn_sleep_burn;
        works[i].count = i == 0 ? 3 : 2;
        works[i].is_done = false;
    }
    kit_settle();
    local_bh_disable();
    for (i = 0; i < 3; i++)
        queue_work_on(cpu, i == 0 ? first : second, &works[i].work);
    local_bh_enable();
    for (i = 0; i < 3; i++)
        kit_wait_until(READ_ONCE(works[i].is_done));
    flush_workqueue(first);
    flush_workqueue(second);
}

static void answer_all(void)
{
    answer_times("w0", &works[0], 3);
    answer_times("w1", &works[1], 2);
    answer_times("w2", &works[2], 2);
}

static void run_on_one_queue(struct workqueue_struct *wq)
{
    run_timeline(wq, wq);
    destroy_workqueue(wq);
    answer_all();
}

SCENARIO(DS1)
{
    run_on_one_queue(alloc_workqueue("ds1", 0, 1));
}

SCENARIO(DS2)
{
    run_on_one_queue(alloc_workqueue("ds2", 0, 3));
}

SCENARIO(DS3)
{
    struct workqueue_struct *wq = alloc_workqueue("ds3", 0, 2);

    run_timeline(wq, wq);
    destroy_workqueue(wq);
    answer_times("w0", &works[0], 3);
    answer_times("w1", &works[1], 1);
    answer_times("w2", &works[2], 2);
    /* w1 wakes when w2 begins: the scheduler says who is first, 20 in the document. */
    answer("w1_end", time_of(&works[1], 2) == 20 || time_of(&works[1], 2) == 25);
}

SCENARIO(DS4)
{
    struct workqueue_struct *wq = alloc_workqueue("ds4", 0, 0);
    struct workqueue_struct *intensive = alloc_workqueue("ds4i", WQ_CPU_INTENSIVE, 0);

    run_timeline(wq, intensive);
    destroy_workqueue(intensive);
    destroy_workqueue(wq);
    answer_all();
}

SCENARIO(DS450)
{
    run_on_one_queue(alloc_ordered_workqueue("ds50", 0));
}

SCENARIO(DS451)
{
    run_on_one_queue(alloc_workqueue("ds51", 0, 0));
}

KIT_GROUP(timelines, "timelines", KIT_ROW(DS1), KIT_ROW(DS2), KIT_ROW(DS3), KIT_ROW(DS4), KIT_ROW(DS450),
          KIT_ROW(DS451));
