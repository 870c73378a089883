// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * What the calls return, in every state of an item: B-26 and B-04 (a table), B-21 (what reference pages
 * leave open), B-11, B-15, B-33, and B-42 (delays as C passes them).
 */
#include "kit.h"

enum state { IDLE, ARMED, QUEUED, RUNNING, RUNNING_ARMED, RUNNING_QUEUED, CANCELLING, STATES };

static const char *const state_names[STATES] = { "I", "T", "Q", "R", "RT", "RQ", "C" };

/* An item in a state, and what is around it. */
struct case_of {
    struct workqueue_struct *wq;
    struct item *item;
    struct item *blocker;
    struct gate item_gate;
    struct gate blocker_gate;
    struct kmdf_mock_thread *canceller;
};

static void cancel_it(void *context)
{
    struct case_of *its = context;

    check_same("cancel_work_sync of a running work", cancel_work_sync(&its->item->dwork.work), false);
}

static void bring_into(struct case_of *its, enum state state)
{
    struct delayed_work *dwork = &its->item->dwork;

    switch (state) {
    case ARMED:
        CHECK(queue_delayed_work(its->wq, dwork, 500));
        break;
    case QUEUED:
        CHECK(queue_work(its->wq, &its->blocker->dwork.work));
        WAIT_UNTIL(its->blocker->inside == 1);
        CHECK(queue_work(its->wq, &dwork->work));
        break;
    case RUNNING:
    case RUNNING_ARMED:
    case RUNNING_QUEUED:
    case CANCELLING:
        CHECK(queue_work(its->wq, &dwork->work));
        WAIT_UNTIL(its->item->inside == 1);
        break;
    default:
        break;
    }
    if (state == RUNNING_ARMED)
        CHECK(queue_delayed_work(its->wq, dwork, 500));
    if (state == RUNNING_QUEUED)
        CHECK(queue_work(its->wq, &dwork->work));
    if (state == CANCELLING) {
        its->canceller = kmdf_mock_spawn("canceller", -1, cancel_it, its);
        WAIT_UNTIL(kmdf_mock_is_blocked(its->canceller));
    }
}

static void open_both(void *context)
{
    struct case_of *its = context;

    sleep_jiffies(3);
    gate_open(&its->item_gate);
    gate_open(&its->blocker_gate);
}

/* The calls. Each returns what Linux's does; those that wait are made while somebody opens the gates. */
static unsigned int call_queue_work(struct case_of *its)
{
    return queue_work(its->wq, &its->item->dwork.work);
}
static unsigned int call_queue_delayed_work(struct case_of *its)
{
    return queue_delayed_work(its->wq, &its->item->dwork, 500);
}
static unsigned int call_mod_delayed_work(struct case_of *its)
{
    return mod_delayed_work(its->wq, &its->item->dwork, 500);
}
static unsigned int call_cancel_work(struct case_of *its)
{
    return cancel_work(&its->item->dwork.work);
}
static unsigned int call_cancel_delayed_work(struct case_of *its)
{
    return cancel_delayed_work(&its->item->dwork);
}
static unsigned int call_cancel_work_sync(struct case_of *its)
{
    return cancel_work_sync(&its->item->dwork.work);
}
/* The mistake of B-26: false if it was taken off the queue, true if somebody had to wait. */
static unsigned int call_cancel_delayed_work_sync(struct case_of *its)
{
    bool cancelled = cancel_delayed_work_sync(&its->item->dwork);

    return planted ? !cancelled : cancelled;
}
static unsigned int call_flush_work(struct case_of *its)
{
    return flush_work(&its->item->dwork.work);
}
static unsigned int call_flush_delayed_work(struct case_of *its)
{
    return flush_delayed_work(&its->item->dwork);
}
static unsigned int call_disable_work(struct case_of *its)
{
    unsigned int pending = disable_work(&its->item->dwork.work);

    CHECK(!queue_work(its->wq, &its->item->dwork.work));
    enable_work(&its->item->dwork.work);
    return pending;
}
static unsigned int call_work_pending(struct case_of *its)
{
    struct work_struct *work = &its->item->dwork.work;

    CHECK(work_pending(work) == (*work_data_bits(work) & WORK_STRUCT_PENDING));
    return work_pending(work);
}
static unsigned int call_delayed_work_pending(struct case_of *its)
{
    return delayed_work_pending(&its->item->dwork);
}
static unsigned int call_work_busy(struct case_of *its)
{
    return work_busy(&its->item->dwork.work);
}

#define NOT_ASKED 9

/* What each returns in I, T, Q, R, RT, RQ, C; whether it waits; whether nothing runs on return. */
static const struct row {
    const char *name;
    unsigned int (*call)(struct case_of *its);
    unsigned char answers[STATES];
    bool waits;
    bool ends;
} rows[] = {
    { "queue_work", call_queue_work, { 1, 0, 0, 1, 0, 0, 0 }, false, false },
    { "queue_delayed_work", call_queue_delayed_work, { 1, 0, 0, 1, 0, 0, 0 }, false, false },
    { "mod_delayed_work", call_mod_delayed_work, { 0, 1, 1, 0, 1, 1, 0 }, false, false },
    { "cancel_work", call_cancel_work, { 0, 1, 1, 0, 1, 1, NOT_ASKED }, false, false },
    { "cancel_delayed_work", call_cancel_delayed_work, { 0, 1, 1, 0, 1, 1, NOT_ASKED }, false, false },
    { "cancel_work_sync", call_cancel_work_sync, { 0, 1, 1, 0, 1, 1, 0 }, true, true },
    { "cancel_delayed_work_sync", call_cancel_delayed_work_sync, { 0, 1, 1, 0, 1, 1, 0 }, true, true },
    { "flush_work", call_flush_work, { 0, 0, 1, 1, 1, 1, 1 }, true, false },
    { "flush_delayed_work", call_flush_delayed_work, { 0, NOT_ASKED, 1, 1, 1, 1, 1 }, true, true },
    { "disable_work", call_disable_work, { 0, 1, 1, 0, 1, 1, NOT_ASKED }, false, false },
    { "work_pending", call_work_pending, { 0, 1, 1, 0, 1, 1, NOT_ASKED }, false, false },
    { "delayed_work_pending", call_delayed_work_pending, { 0, 1, 1, 0, 1, 1, NOT_ASKED }, false, false },
    { "work_busy", call_work_busy, { 0, 1, 1, 2, 3, 3, NOT_ASKED }, false, false },
};

static void ask(const struct row *row, enum state state)
{
    struct case_of its = { .wq = alloc_ordered_workqueue("answers", 0) };
    struct kmdf_mock_thread *opener = NULL;
    unsigned int answer;
    char what[64];

    gate_init(&its.item_gate);
    gate_init(&its.blocker_gate);
    its.item = item_new(&its.item_gate);
    its.blocker = item_new(&its.blocker_gate);
    bring_into(&its, state);
    if (row->waits)
        opener = kmdf_mock_spawn("opener", -1, open_both, &its);
    answer = row->call(&its);
    snprintf(what, sizeof(what), "%s in state %s", row->name, state_names[state]);
    if (row->answers[state] != NOT_ASKED)
        check_same(what, answer, row->answers[state]);
    if (row->ends)
        check_same(what, its.item->inside + work_busy(&its.item->dwork.work), 0);
    gate_open(&its.item_gate);
    gate_open(&its.blocker_gate);
    if (opener)
        kmdf_mock_join(opener);
    if (its.canceller)
        kmdf_mock_join(its.canceller);
    cancel_delayed_work_sync(&its.item->dwork);
    destroy_workqueue(its.wq);
    item_free(its.item);
    item_free(its.blocker);
}

/* B-26, B-04: every answer in every state. A seed asks a third of them. */
static void b26_b04_every_answer_in_every_state(void)
{
    size_t row;
    int state;

    for (row = 0; row < ARRAYSIZE(rows); row++) {
        for (state = 0; state < STATES; state++) {
            if ((row + (size_t)state + kmdf_mock_seed()) % 3 == 0)
                ask(&rows[row], (enum state)state);
        }
    }
}

/* B-11: after each kind of cancel, of each state, the work can be queued again, and runs. */
static void b11_a_cancelled_work_can_be_queued_again(void)
{
    static const struct row *const cancels[] = { &rows[3], &rows[4], &rows[5], &rows[6] };
    struct item *item = item_new(NULL);
    unsigned int before;
    size_t n;

    for (n = 0; n < ARRAYSIZE(cancels); n++) {
        struct case_of its = { .wq = system_wq, .item = item };

        CHECK(schedule_delayed_work(&item->dwork, kmdf_mock_choose(3)));
        give_way(8);
        cancels[n]->call(&its);
        if (planted)
            disable_work(&item->dwork.work); /* what is cancelled stays so */
        cancel_work_sync(&item->dwork.work);
        before = item->runs;
        CHECK(schedule_work(&item->dwork.work));
        flush_work(&item->dwork.work);
        check_same("runs", item->runs, before + 1);
    }
    item_free(item);
}

/* B-15: two works both run, and one that is queued twice before its run runs once. */
static void b15_each_work_runs_and_a_pending_one_is_not_queued_twice(void)
{
    struct workqueue_struct *wq = alloc_ordered_workqueue("%s", 0, "ordered");
    struct gate gate;
    struct item *blocker, *items[2];

    gate_init(&gate);
    blocker = item_new(&gate);
    items[0] = item_new(NULL);
    items[1] = item_new(NULL);
    CHECK(queue_work(wq, &blocker->dwork.work));
    CHECK(queue_work(wq, &items[0]->dwork.work));
    CHECK(!queue_work(wq, &items[0]->dwork.work));
    CHECK(queue_work(wq, &items[planted ? 0 : 1]->dwork.work));
    CHECK(!queue_delayed_work(wq, &items[1]->dwork, 1));
    gate_open(&gate);
    flush_workqueue(wq);
    check_same("runs of the first", items[0]->runs, 1);
    check_same("runs of the second", items[1]->runs, 1);
    destroy_workqueue(wq);
    item_free(blocker);
    item_free(items[0]);
    item_free(items[1]);
}

static unsigned int tasklet_runs;

static void count_tasklet(struct tasklet_struct *tasklet)
{
    (void)tasklet;
    give_way(6);
    tasklet_runs++;
}

/* B-33: disables of every kind nest; only the last enable lets a scheduled tasklet run, and it runs once. */
static void b33_disables_nest(void)
{
    static void (*const disables[])(struct tasklet_struct *) = {
        tasklet_disable, tasklet_disable_nosync, tasklet_disable_in_atomic,
    };
    struct tasklet_struct *tasklet = allocate(sizeof(*tasklet));
    unsigned int depth = 3, n;

    tasklet_runs = 0;
    tasklet_setup(tasklet, count_tasklet);
    tasklet_schedule(tasklet);
    for (n = 0; n < depth; n++)
        disables[(n + kmdf_mock_choose(3)) % 3](tasklet);
    tasklet_disable(tasklet);
    tasklet_enable(tasklet);
    n = tasklet_runs;
    tasklet_schedule(tasklet);
    if (planted)
        depth = 2; /* a flag, not a count */
    while (depth--) {
        kmdf_mock_settle();
        check_same("runs while it is disabled", tasklet_runs, n);
        tasklet_enable(tasklet);
    }
    kmdf_mock_settle();
    check_same("runs after the last enable", tasklet_runs, n + 1);
    tasklet_kill(tasklet);
    release(tasklet);
}

/*
 * B-21: what reference pages leave open has one answer. A second cancel says no; a flush of what was never
 * queued, or has ended, does not wait; after a kill or a disable the tasklet does not run.
 */
static void b21_each_question_has_one_answer(void)
{
    struct item *item = item_new(NULL);
    struct tasklet_struct *tasklet = allocate(sizeof(*tasklet));
    unsigned int runs;

    CHECK(!flush_work(&item->dwork.work) && !flush_delayed_work(&item->dwork));
    CHECK(schedule_delayed_work(&item->dwork, 300));
    CHECK(cancel_delayed_work(&item->dwork) && cancel_delayed_work(&item->dwork) == planted);
    CHECK(schedule_delayed_work(&item->dwork, 300));
    CHECK(cancel_delayed_work_sync(&item->dwork) && !cancel_delayed_work_sync(&item->dwork));
    CHECK(schedule_work(&item->dwork.work));
    flush_work(&item->dwork.work);
    CHECK(!flush_work(&item->dwork.work) && item->runs == 1);
    flush_scheduled_work();

    tasklet_setup(tasklet, count_tasklet);
    tasklet_kill(tasklet);
    tasklet_kill(tasklet);
    tasklet_schedule(tasklet);
    give_way(20);
    tasklet_kill(tasklet);
    CHECK(tasklet->state == 0);
    tasklet_schedule(tasklet);
    give_way(20);
    tasklet_disable(tasklet);
    runs = tasklet_runs;
    give_way(20);
    check_same("runs while it is disabled", tasklet_runs, runs);
    tasklet_enable(tasklet);
    tasklet_kill(tasklet);
    release(tasklet);
    item_free(item);
}

/*
 * The run number `runs` of the item comes between `least` and `most` jiffies after `start`, and not before.
 */
static void due_within(struct item *item, unsigned int runs, unsigned long start, unsigned int least,
                       unsigned int most)
{
    WAIT_UNTIL(item->runs == runs);
    CHECK(time_after_eq(jiffies, start + least));
    CHECK(time_before_eq(jiffies, start + most));
}

/*
 * B-42: a delay is relative, whatever the clock says: shorter, longer and zero, the largest and a negative
 * one, on both sides of the jiffy at which 32 bits end. (The mistake takes it for a time.)
 */
static void b42_delays_are_relative(void)
{
    struct item *item = item_new(NULL);
    int round;

    CHECK((unsigned int)INITIAL_JIFFIES > (unsigned int)(INITIAL_JIFFIES + 301 * HZ));
    for (round = 0; round < 2; round++) {
        unsigned long now = jiffies;

        item->runs = 0;
        CHECK(schedule_delayed_work(&item->dwork, 50));
        CHECK(item->dwork.timer.expires - now - 50 <= 1);
        now = jiffies;
        CHECK(mod_delayed_work(system_wq, &item->dwork, planted ? jiffies + 5 : 5));
        due_within(item, 1, now, 5, 12);
        CHECK(!mod_delayed_work(system_wq, &item->dwork, 13));
        now = jiffies;
        CHECK(mod_delayed_work(system_wq, &item->dwork, 40));
        due_within(item, 2, now, 40, 47);
        CHECK(schedule_delayed_work(&item->dwork, MAX_JIFFY_OFFSET));
        sleep_jiffies(100);
        CHECK(delayed_work_pending(&item->dwork));
        now = jiffies;
        CHECK(mod_delayed_work(system_wq, &item->dwork, 0));
        due_within(item, 3, now, 0, 6);
        now = jiffies;
        CHECK(queue_delayed_work(system_wq, &item->dwork, (unsigned long)-1));
        due_within(item, 4, now, 0, 7);
        /* Five minutes later the low half of the jiffies has begun anew. */
        sleep_jiffies(301 * HZ);
    }
    item_free(item);
}

const struct scenario scenarios[] = {
    { .name = "b26_b04_every_answer_in_every_state",
      .run = b26_b04_every_answer_in_every_state,
      .roomy = true },
    { .name = "b11_a_cancelled_work_can_be_queued_again", .run = b11_a_cancelled_work_can_be_queued_again },
    { .name = "b15_each_work_runs_and_a_pending_one_is_not_queued_twice",
      .run = b15_each_work_runs_and_a_pending_one_is_not_queued_twice },
    { .name = "b33_disables_nest", .run = b33_disables_nest },
    { .name = "b21_each_question_has_one_answer", .run = b21_each_question_has_one_answer },
    { .name = "b42_delays_are_relative", .run = b42_delays_are_relative, .roomy = true },
    { .name = NULL },
};
