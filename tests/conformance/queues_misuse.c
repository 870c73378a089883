// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Workqueues, the rows that warn: Q19, Q21, Q23, and beyond the table Q450 (a max_active of 0 set later),
 * Q451 (any max_active of a WQ_BH queue), Q452 (a name that is too long). Each says what is warned about and
 * what is done.
 */
#include "items.h"

static struct test_work many[4];

/* How many of `count` works that are queued for CPU 1 run at once when all has been started that will be. */
static int running_of(struct workqueue_struct *wq, unsigned int count)
{
    unsigned int i;
    int inside = 0;

    for (i = 0; i < count; i++) {
        test_work_init_gated(&many[i]);
        queue_work_on(1, wq, &many[i].work);
    }
    item_await_begun(&many[0], 1);
    kit_settle();
    for (i = 0; i < count; i++)
        inside += item_inside(&many[i]);
    for (i = 0; i < count; i++)
        item_release(&many[i]);
    flush_workqueue(wq);
    return inside;
}

SCENARIO(Q19)
{
    struct workqueue_struct *wq = alloc_ordered_workqueue("q19", 0);

    workqueue_set_max_active(wq, 5);
    answer("diagnosed", kit_diagnosed() > 0);
    answer("running", running_of(wq, 3));
    destroy_workqueue(wq);
}

SCENARIO(Q21)
{
    struct workqueue_struct *wq = alloc_workqueue("q21", 0, -5);
    unsigned int diagnosed = kit_diagnosed();

    answer("made", wq != NULL);
    answer("diagnosed", diagnosed > 0);
    answer("running", running_of(wq, 3));
    destroy_workqueue(wq);
    wq = alloc_workqueue("q21", 0, 100000);
    answer("big_made", wq != NULL);
    answer("big_diagnosed", kit_diagnosed() > diagnosed);
    answer("big_running", running_of(wq, 4));
    destroy_workqueue(wq);
}

SCENARIO(Q450)
{
    struct workqueue_struct *wq = alloc_workqueue("q50", 0, 3);

    workqueue_set_max_active(wq, 0);
    answer("diagnosed", kit_diagnosed() > 0);
    answer("running", running_of(wq, 3));
    destroy_workqueue(wq);
}

SCENARIO(Q452)
{
    struct workqueue_struct *wq = alloc_workqueue("a-name-that-is-too-long-for-%s-%d", 0, 0, "workqueue", 52);

    answer("made", wq != NULL);
    answer("diagnosed", kit_diagnosed() > 0);
    answer("running", running_of(wq, 2));
    destroy_workqueue(wq);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
SCENARIO(Q23)
{
    unsigned int diagnosed;

    answer("unbound_null", alloc_workqueue("q23", WQ_BH | WQ_UNBOUND, 0) == NULL);
    diagnosed = kit_diagnosed();
    answer("diagnosed", diagnosed > 0);
    answer("max_active_null", alloc_workqueue("q23", WQ_BH, 1) == NULL);
    answer("again_diagnosed", kit_diagnosed() > diagnosed);
    answer("mem_reclaim_null", alloc_workqueue("q23", WQ_BH | WQ_MEM_RECLAIM, 0) == NULL);
    answer("freezable_null", alloc_workqueue("q23", WQ_BH | WQ_FREEZABLE, 0) == NULL);
    answer("intensive_null", alloc_workqueue("q23", WQ_BH | WQ_CPU_INTENSIVE, 0) == NULL);
}

SCENARIO(Q451)
{
    struct workqueue_struct *wq = alloc_workqueue("q51", WQ_BH, 0);

    workqueue_set_max_active(wq, 5);
    answer("diagnosed", kit_diagnosed() > 0);
    test_work_init(&many[0]);
    queue_work_on(1, wq, &many[0].work);
    flush_workqueue(wq);
    answer("runs", item_ended(&many[0]));
    destroy_workqueue(wq);
}

#define ROWS_OF_6_9 KIT_ROW(Q23), KIT_ROW(Q451),
#else
#define ROWS_OF_6_9
#endif

KIT_GROUP(queues_misuse, "misuse", KIT_ROW(Q19), KIT_ROW(Q21), ROWS_OF_6_9 KIT_ROW(Q450), KIT_ROW(Q452));
