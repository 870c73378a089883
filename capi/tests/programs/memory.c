// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Items and their memory: B-10 (nothing is allocated), B-01, B-50 and B-64 (an item is freed by its own
 * function), B-59 (another item at the same address). A freed block is out of reach: whoever touches it
 * ends the machine.
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

struct items {
    struct work_struct work;
    struct delayed_work dwork;
    struct tasklet_struct tasklet;
    void *internal;
};

/*
 * The mistake: initialising allocates, and needs a call that ends the item, which Linux's drivers do not
 * make.
 */
static void init_with_memory(struct items *items)
{
    items->internal = ExAllocatePool2(POOL_FLAG_NON_PAGED, 64, TAG);
    kmdf_mock_assert(items->internal != NULL, "INIT_WORK needs memory");
}

/* Initialised, used, and forgotten: no call ends them. */
static void use(struct items *items)
{
    if (planted)
        init_with_memory(items);
    INIT_WORK(&items->work, count_work);
    INIT_DELAYED_WORK(&items->dwork, count_work);
    tasklet_setup(&items->tasklet, count_tasklet);
    runs = 0;
    CHECK(schedule_work(&items->work));
    CHECK(schedule_delayed_work(&items->dwork, kmdf_mock_choose(2)));
    tasklet_schedule(&items->tasklet);
    WAIT_UNTIL(runs == 3);
    flush_work(&items->work);
    flush_delayed_work(&items->dwork);
    tasklet_kill(&items->tasklet);
}

/* B-10: with every allocation failing since the attach, everything but a new queue is there. */
static void b10_without_memory(void)
{
    struct items items;
    int round;

    CHECK(alloc_workqueue("none", 0, 0) == NULL);
    CHECK(alloc_ordered_workqueue("none", WQ_MEM_RECLAIM) == NULL);
    for (round = 0; round < 5; round++) {
        memset(&items, 0xA5, sizeof(items));
        use(&items);
    }
}

/*
 * B-10: a thousand items come and go, in memory that is freed; the machine counts what is left at the
 * unload.
 */
static void b10_a_thousand_items_leave_nothing(void)
{
    int round;

    for (round = 0; round < 1000; round++) {
        struct items *items = allocate(sizeof(*items));

        use(items);
        release(items);
    }
}

/*
 * An object whose work frees it, after that or the tasklet has gone round some more times. A tasklet cannot
 * free itself, in Linux neither; it leaves it to the work.
 */
struct object {
    struct delayed_work dwork;
    struct tasklet_struct tasklet;
    struct workqueue_struct *wq;
    unsigned int rounds;
    bool has_tasklet;
};

static unsigned int freed;

/* Gives the object back, and the mistake: looks at it once more. */
static void free_object(struct object *object)
{
    volatile unsigned int *rounds = &object->rounds;

    release(object);
    freed++;
    if (planted)
        (void)*rounds;
}

static void work_frees(struct work_struct *work)
{
    struct object *object = container_of(work, struct object, dwork.work);

    CHECK(current_work() == (in_task() ? work : NULL));
    if (!object->rounds) {
        if (object->has_tasklet)
            tasklet_kill(&object->tasklet);
        free_object(object);
        return;
    }
    object->rounds--;
    switch (kmdf_mock_choose(3)) {
    case 0:
        CHECK(queue_work(object->wq, work));
        break;
    case 1:
        CHECK(queue_delayed_work(object->wq, &object->dwork, 1));
        break;
    default:
        CHECK(!mod_delayed_work(object->wq, &object->dwork, kmdf_mock_choose(2)));
        break;
    }
}

static void tasklet_leaves_it_to_the_work(struct tasklet_struct *tasklet)
{
    struct object *object = from_tasklet(object, tasklet, tasklet);

    if (object->rounds) {
        object->rounds--;
        tasklet_schedule(tasklet);
        return;
    }
    CHECK(queue_work(object->wq, &object->dwork.work));
}

/* Reads the counts as long as objects free themselves. */
static void keep_counting(void *context)
{
    const unsigned int *wanted = context;

    while (freed < *wanted) {
        struct bottomhalf_counters counts;

        bottomhalf_get_counters(&counts);
        check_same("accepted", counts.accepted, counts.run + counts.cancelled + counts.pending);
        kmdf_mock_sleep_100ns(1000);
    }
}

static struct object *object_new(struct workqueue_struct *wq)
{
    struct object *object = allocate(sizeof(*object));

    INIT_DELAYED_WORK(&object->dwork, work_frees);
    tasklet_setup(&object->tasklet, tasklet_leaves_it_to_the_work);
    object->wq = wq;
    object->rounds = kmdf_mock_choose(4);
    return object;
}

/*
 * B-01, B-50, B-64: works, delayed works and works of a WQ_BH queue free themselves, and a tasklet with
 * them.
 */
static void b01_b50_b64_items_free_themselves(void)
{
    struct workqueue_struct *queues[] = {
        alloc_workqueue("bound", 0, 0),
        alloc_workqueue("unbound-%d", WQ_UNBOUND | WQ_MEM_RECLAIM, 2, 7),
        alloc_ordered_workqueue("ordered", 0),
        alloc_workqueue("bh", WQ_BH, 0),
    };
    unsigned int wanted = 0, n;
    struct kmdf_mock_thread *counting;
    struct object *object;

    freed = 0;
    wanted = 6 * (unsigned int)ARRAYSIZE(queues);
    counting = kmdf_mock_spawn("counting", -1, keep_counting, &wanted);
    for (n = 0; n < wanted; n++) {
        object = object_new(queues[n % ARRAYSIZE(queues)]);
        switch (n / ARRAYSIZE(queues) % 3) {
        case 0:
            CHECK(queue_work(object->wq, &object->dwork.work));
            break;
        case 1:
            CHECK(queue_delayed_work(object->wq, &object->dwork, kmdf_mock_choose(3)));
            break;
        default:
            object->has_tasklet = true;
            object->wq = system_wq;
            tasklet_schedule(&object->tasklet);
            break;
        }
    }
    WAIT_UNTIL(freed == wanted);
    kmdf_mock_join(counting);
    for (n = 0; n < ARRAYSIZE(queues); n++)
        destroy_workqueue(queues[n]);
}

/* Memory that is one object first and another one later, as an allocator gives it out. */
struct place {
    struct work_struct work;
    struct gate gates[2];
    unsigned int began[2];
    unsigned int ended[2];
};

static void run_place(struct work_struct *work, int which)
{
    struct place *place = container_of(work, struct place, work);

    place->began[which]++;
    gate_wait(&place->gates[which]);
    place->ended[which]++;
}

static void former(struct work_struct *work)
{
    run_place(work, 0);
}

static void latter(struct work_struct *work)
{
    run_place(work, 1);
}

/*
 * B-59: a work is its address and its function. While a function still runs whose work is gone, its memory
 * has become another work: that one runs beside it, and waiting for it is not waiting for the old function.
 * (The mistake: it is known by its address alone, so the flush waits for a function that nobody lets go
 * on.)
 */
static void b59_another_work_at_the_same_address(void)
{
    struct workqueue_struct *wq = alloc_workqueue("bound", 0, 0);
    struct place *place = allocate(sizeof(*place));

    gate_init(&place->gates[0]);
    gate_init(&place->gates[1]);
    INIT_WORK(&place->work, former);
    CHECK(queue_work(wq, &place->work));
    WAIT_UNTIL(place->began[0] == 1);

    gate_open(&place->gates[1]);
    if (!planted)
        INIT_WORK(&place->work, latter);
    CHECK(planted || work_busy(&place->work) == 0);
    CHECK(queue_work(wq, &place->work));
    flush_work(&place->work);
    check_same("runs of the latter", place->ended[1], 1);
    CHECK(queue_work(wq, &place->work));
    WAIT_UNTIL(place->began[1] == 2);
    CHECK(!cancel_work_sync(&place->work));
    check_same("runs of the latter", place->ended[1], 2);
    check_same("ends of the former", place->ended[0], 0);
    CHECK(!work_pending(&place->work));

    gate_open(&place->gates[0]);
    destroy_workqueue(wq);
    check_same("ends of the former", place->ended[0], 1);
    release(place);
}

const struct scenario scenarios[] = {
    { .name = "b10_without_memory", .run = b10_without_memory, .without_memory = true },
    { .name = "b10_a_thousand_items_leave_nothing", .run = b10_a_thousand_items_leave_nothing },
    { .name = "b01_b50_b64_items_free_themselves", .run = b01_b50_b64_items_free_themselves },
    { .name = "b59_another_work_at_the_same_address",
      .run = b59_another_work_at_the_same_address,
      .roomy = true },
    { .name = NULL },
};
