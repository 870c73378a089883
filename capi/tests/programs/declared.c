// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * B-45: what the static initialisers make is what the calls that initialise make, byte for byte, and serves
 * as they do in every call.
 */
#include "kit.h"

static unsigned int runs;

static void count_work(struct work_struct *work)
{
    (void)work;
    runs++;
}

static void count_tasklet(struct tasklet_struct *tasklet)
{
    (void)tasklet;
    runs++;
}

static void count_old(unsigned long data)
{
    runs += 1 + (unsigned int)data;
}

static DECLARE_WORK(work, count_work);
static struct work_struct work_by_initializer = __WORK_INITIALIZER(work_by_initializer, count_work);
static DECLARE_DELAYED_WORK(delayed, count_work);
static DECLARE_DEFERRABLE_WORK(deferrable, count_work);
static struct {
    char before;
    struct delayed_work dwork;
} holder = { 1, __DELAYED_WORK_INITIALIZER(holder.dwork, count_work, 0) };
static DECLARE_TASKLET(tasklet, count_tasklet);
static DECLARE_TASKLET_DISABLED(disabled, count_tasklet);
static DECLARE_TASKLET_OLD(old, count_old);
static DECLARE_TASKLET_DISABLED_OLD(disabled_old, count_old);

static void print_bytes(const char *name, const void *item, size_t size)
{
    const unsigned char *bytes = item;
    size_t at;

    printf("bytes %s ", name);
    for (at = 0; at < size; at++) {
        /* The function, which is at the same place in all of them. */
        if (at >= 24 && at < 32)
            printf("..");
        else
            printf("%02x", bytes[at]);
    }
    printf("\n");
}

static void same_bytes(const char *what, const void *found, const void *wanted, size_t size)
{
    kmdf_mock_assert(memcmp(found, wanted, size) == 0, what);
}

static void check_works(void)
{
    static void (*const inits[])(struct work_struct *, work_func_t) = {
        INIT_WORK, INIT_WORK_ONSTACK, bottomhalf_INIT_WORK, bottomhalf_INIT_WORK_ONSTACK,
    };
    struct work_struct made;
    size_t n;

    for (n = 0; n < ARRAYSIZE(inits); n++) {
        memset(&made, 0xA5, sizeof(made));
        inits[n](&made, count_work);
        same_bytes("DECLARE_WORK", &work, &made, sizeof(made));
        same_bytes("__WORK_INITIALIZER", &work_by_initializer, &made, sizeof(made));
    }
    print_bytes("DECLARE_WORK", &work, sizeof(work));
}

static void check_delayed_works(void)
{
    static void (*const inits[])(struct delayed_work *, work_func_t) = {
        INIT_DELAYED_WORK,
        INIT_DELAYED_WORK_ONSTACK,
        INIT_DEFERRABLE_WORK,
        INIT_DEFERRABLE_WORK_ONSTACK,
        bottomhalf_INIT_DELAYED_WORK,
        bottomhalf_INIT_DELAYED_WORK_ONSTACK,
        bottomhalf_INIT_DEFERRABLE_WORK,
        bottomhalf_INIT_DEFERRABLE_WORK_ONSTACK,
    };
    struct delayed_work made;
    size_t n;

    for (n = 0; n < ARRAYSIZE(inits); n++) {
        memset(&made, 0xA5, sizeof(made));
        inits[n](&made, count_work);
        same_bytes("DECLARE_DELAYED_WORK", &delayed, &made, sizeof(made));
        same_bytes("DECLARE_DEFERRABLE_WORK", &deferrable, &made, sizeof(made));
        same_bytes("__DELAYED_WORK_INITIALIZER", &holder.dwork, &made, sizeof(made));
    }
    print_bytes("DECLARE_DELAYED_WORK", &delayed, sizeof(delayed));
    print_bytes("DECLARE_DEFERRABLE_WORK", &deferrable, sizeof(deferrable));
}

static void check_tasklets(void)
{
    struct tasklet_struct made, made_old;
    int by_name;

    for (by_name = 0; by_name < 2; by_name++) {
        memset(&made, 0xA5, sizeof(made));
        memset(&made_old, 0xA5, sizeof(made_old));
        if (by_name) {
            bottomhalf_tasklet_setup(&made, count_tasklet);
            bottomhalf_tasklet_init(&made_old, (void (*)(uintptr_t))count_old, 0);
        } else {
            tasklet_setup(&made, count_tasklet);
            tasklet_init(&made_old, count_old, 0);
        }
        same_bytes("DECLARE_TASKLET", &tasklet, &made, sizeof(made));
        same_bytes("DECLARE_TASKLET_OLD", &old, &made_old, sizeof(made));
        made.count.counter = 1;
        made_old.count.counter = 1;
        same_bytes("DECLARE_TASKLET_DISABLED", &disabled, &made, sizeof(made));
        same_bytes("DECLARE_TASKLET_DISABLED_OLD", &disabled_old, &made_old, sizeof(made));
    }
    print_bytes("DECLARE_TASKLET", &tasklet, sizeof(tasklet));
    print_bytes("DECLARE_TASKLET_OLD", &old, sizeof(old));
    print_bytes("DECLARE_TASKLET_DISABLED", &disabled, sizeof(disabled));
    print_bytes("DECLARE_TASKLET_DISABLED_OLD", &disabled_old, sizeof(disabled_old));
}

/* The initialisers against the calls; the bytes are printed for a comparison with Rust's. */
static void the_same_bytes(void)
{
    if (planted)
        delayed.timer.bottomhalf_node[0] = &delayed;
    check_works();
    check_delayed_works();
    check_tasklets();
}

/* Everything that can be asked of an idle item finds nothing. */
static void nothing_is_there(struct delayed_work *dwork)
{
    struct work_struct *its = &dwork->work;

    CHECK(!work_pending(its) && !work_busy(its) && !delayed_work_pending(dwork));
    CHECK(!cancel_work(its) && !cancel_work_sync(its) && !flush_work(its));
    CHECK(!cancel_delayed_work(dwork) && !cancel_delayed_work_sync(dwork) && !flush_delayed_work(dwork));
    CHECK(!disable_delayed_work_sync(dwork) && enable_delayed_work(dwork));
}

static void serve_work(struct work_struct *item)
{
    unsigned int before = runs;

    if (kmdf_mock_choose(2))
        CHECK(!work_pending(item) && !flush_work(item) && !cancel_work_sync(item) && !work_busy(item));
    CHECK(schedule_work(item));
    flush_work(item);
    check_same("runs of the work", runs, before + 1);
    CHECK(queue_work(system_highpri_wq, item));
    check_same("runs of the cancelled work", runs + cancel_work_sync(item), before + 2);
}

static void serve_delayed_work(struct delayed_work *item)
{
    unsigned int before;

    CHECK(schedule_delayed_work(item, 0));
    flush_delayed_work(item);
    before = runs;
    switch (kmdf_mock_choose(4)) {
    case 0:
        nothing_is_there(item);
        CHECK(schedule_delayed_work(item, 0));
        break;
    case 1:
        CHECK(!mod_delayed_work(system_wq, item, 400));
        break;
    case 2:
        CHECK(schedule_delayed_work(item, 0));
        break;
    default:
        CHECK(schedule_delayed_work(item, 300));
        break;
    }
    flush_delayed_work(item);
    check_same("runs of the delayed work", runs, before + 1);
    CHECK(schedule_delayed_work(item, 2));
    sleep_jiffies(6);
    WAIT_UNTIL(runs == before + 2);
    CHECK(schedule_delayed_work(item, 300) && cancel_delayed_work(item));
    CHECK(schedule_delayed_work(item, 300) && cancel_delayed_work_sync(item));
    nothing_is_there(item);
    check_same("runs of the delayed work", runs, before + 2);
}

static void serve_tasklet(struct tasklet_struct *item, bool is_disabled)
{
    unsigned int before = runs;

    if (kmdf_mock_choose(2))
        tasklet_schedule(item);
    else
        tasklet_hi_schedule(item);
    if (is_disabled) {
        kmdf_mock_settle();
        check_same("runs while it is disabled", runs, before);
        tasklet_enable(item);
    }
    tasklet_kill(item);
    check_same("runs of the tasklet", runs, before + 1);
    tasklet_disable(item);
    tasklet_schedule(item);
    tasklet_enable(item);
    tasklet_kill(item);
    check_same("runs of the tasklet", runs, before + 2);
    if (is_disabled)
        tasklet_disable_nosync(item);
    CHECK(item->state == 0);
}

/* The statics themselves, run after run, and copies of them in memory that comes and goes. */
static void they_serve(void)
{
    struct {
        struct work_struct work;
        struct delayed_work dwork;
        struct tasklet_struct tasklets[4];
    } *copies = allocate(sizeof(*copies));

    runs = 0;
    serve_work(&work);
    serve_work(&work_by_initializer);
    serve_delayed_work(&delayed);
    serve_delayed_work(&deferrable);
    serve_delayed_work(&holder.dwork);
    serve_tasklet(&tasklet, false);
    serve_tasklet(&disabled, true);
    serve_tasklet(&old, false);
    serve_tasklet(&disabled_old, true);
    if (planted)
        memset(&delayed, 0, sizeof(delayed)); /* a timer that nobody has initialised, and the rest as well */
    copies->work = (struct work_struct)__WORK_INITIALIZER(copies->work, count_work);
    copies->dwork = delayed;
    copies->tasklets[0] = tasklet;
    copies->tasklets[1] = disabled;
    copies->tasklets[2] = old;
    copies->tasklets[3] = disabled_old;
    serve_work(&copies->work);
    serve_delayed_work(&copies->dwork);
    serve_tasklet(&copies->tasklets[0], false);
    serve_tasklet(&copies->tasklets[1], true);
    serve_tasklet(&copies->tasklets[2], false);
    serve_tasklet(&copies->tasklets[3], true);
    release(copies);
}

/* Items that a block declares, on the stack; they are finished when it ends. */
static void on_the_stack(void)
{
    DECLARE_WORK(here, count_work);
    DECLARE_DELAYED_WORK(later, count_work);
    DECLARE_TASKLET(soon, count_tasklet);

    runs = 0;
    serve_work(&here);
    serve_delayed_work(&later);
    serve_tasklet(&soon, false);
    if (planted)
        schedule_delayed_work(&later, 10);
    destroy_work_on_stack(&here);
    destroy_delayed_work_on_stack(&later);
}

const struct scenario scenarios[] = {
    { .name = "the_same_bytes", .run = the_same_bytes },
    { .name = "they_serve", .run = they_serve },
    { .name = "on_the_stack", .run = on_the_stack },
    { .name = NULL },
};
