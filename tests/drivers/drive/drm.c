/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Drives drm_flip_work.c: frame buffers are queued from several CPUs and committed from the interrupt of the
 * vertical blank to a workqueue, where each is to come out once, in its producer's order.
 */
#include <linux/bug.h>
#include <linux/slab.h>

#include <drm/drm_flip_work.h>

#include "compat.h"
#include "drive.h"

#define PRODUCERS 3
#define VALUES 40

static struct drm_flip_work flip;
static struct workqueue_struct *wq;

/* A value is a pointer into this array. */
static char values[PRODUCERS][VALUES];
static long out[PRODUCERS][VALUES];
static long next_out[PRODUCERS];
static long total;
static long disorder;
static long wrong_irql;
static long not_ours;
static struct drive_runs runs;

static void taken(struct drm_flip_work *work, void *val)
{
    long index = (char *)val - &values[0][0];
    long producer = index / VALUES;
    long value = index % VALUES;

    drive_enter(&runs);
    if (work != &flip || index < 0 || index >= PRODUCERS * VALUES) {
        drive_add(&not_ours, 1);
    } else {
        drive_add(&out[producer][value], 1);
        if (value != drive_get(&next_out[producer]))
            drive_add(&disorder, 1);
        drive_set(&next_out[producer], value + 1);
        drive_add(&total, 1);
    }
    if (drive_irql() != DRIVE_PASSIVE)
        drive_add(&wrong_irql, 1);
    if (drive_choose(8) == 0)
        drive_sleep(1);
    drive_leave(&runs);
}

/* The interrupt of the vertical blank. */
static void vblank(void *context)
{
    (void)context;
    drm_flip_work_commit(&flip, wq);
}

static void queue_task(void *context)
{
    drm_flip_work_queue_task(&flip, (struct drm_flip_task *)context);
}

static void producer(void *context)
{
    int me = (int)(uintptr_t)context;
    int i;

    for (i = 0; i < VALUES; i++) {
        struct drm_flip_task *task;

        switch (drive_choose(3)) {
        case 0:
            drm_flip_work_queue(&flip, &values[me][i]);
            break;
        case 1:
            local_bh_disable();
            drm_flip_work_queue(&flip, &values[me][i]);
            local_bh_enable();
            break;
        default:
            task = drm_flip_work_allocate_task(&values[me][i], GFP_KERNEL);
            drive_interrupt(me, queue_task, task);
        }
        if (drive_choose(4) == 0)
            drive_interrupt((int)drive_choose(4), vblank, NULL);
        if (drive_choose(8) == 0)
            drive_sleep(1);
    }
}

static void every_value_comes_out(void)
{
    struct drive_thread *threads[PRODUCERS];
    int i, j;

    for (i = 0; i < PRODUCERS; i++)
        threads[i] = drive_spawn("producer", i, producer, (void *)(uintptr_t)i);
    for (i = 0; i < PRODUCERS; i++)
        drive_join(threads[i]);
    drive_interrupt(0, vblank, NULL);
    flush_workqueue(wq);
    for (i = 0; i < PRODUCERS; i++)
        for (j = 0; j < VALUES; j++)
            EFFECT(drive_get(&out[i][j]) == 1, "each value comes out once");
    EFFECT(drive_get(&disorder) == 0, "those of a producer in the order of their queueing");
    EFFECT(drive_get(&not_ours) == 0, "and nothing else does");
    EFFECT(drive_get(&wrong_irql) == 0, "at PASSIVE_LEVEL, though the interrupt commits");
    EFFECT(drive_get(&runs.most) == 1, "one at a time");
    EFFECT(compat_allocations() == 0, "every task is freed");
}

static void nothing_comes_out_before_the_commit(void)
{
    long before = drive_get(&total);

    drive_set(&next_out[0], 0);
    drm_flip_work_queue(&flip, &values[0][0]);
    drm_flip_work_queue(&flip, &values[0][1]);
    drive_sleep(3);
    EFFECT(drive_get(&total) == before, "nothing comes out before it is committed");
    drm_flip_work_commit(&flip, wq);
    drm_flip_work_queue(&flip, &values[0][2]);
    flush_workqueue(wq);
    EFFECT(drive_get(&total) == before + 2, "a commit lets out what was queued before it");
    drm_flip_work_commit(&flip, wq);
    flush_workqueue(wq);
    EFFECT(drive_get(&total) == before + 3, "and the next one the rest");
    EFFECT(drive_get(&disorder) == 0, "in their order");
}

static void without_memory_the_value_is_handed_over_at_once(void)
{
    long before = drive_get(&total);
    long printed = drive_printed("could not allocate");

    drive_set(&next_out[1], 0);
    compat_fail_allocation(1);
    drm_flip_work_queue(&flip, &values[1][0]);
    EFFECT(drive_get(&total) == before + 1, "without memory the value is handed over by the caller");
    EFFECT(drive_printed("could not allocate") == printed + 1, "which is printed");
}

static void a_leftover_is_warned_about(void)
{
    unsigned int warnings = compat_warnings();

    drm_flip_work_cleanup(&flip);
    EFFECT(compat_warnings() == warnings, "an empty one is cleaned up in silence");
    drive_set(&next_out[2], 0);
    drm_flip_work_queue(&flip, &values[2][0]);
    drm_flip_work_cleanup(&flip);
    EFFECT(compat_warnings() == warnings + 1, "one with a value left is not");
    drm_flip_work_commit(&flip, wq);
}

static void body(void)
{
    wq = alloc_ordered_workqueue("%s-%d", 0, "flip", 0);
    EFFECT(wq != NULL, "there is a queue");
    drm_flip_work_init(&flip, "planes", taken);
    every_value_comes_out();
    nothing_comes_out_before_the_commit();
    without_memory_the_value_is_handed_over_at_once();
    a_leftover_is_warned_about();
    destroy_workqueue(wq);
    EFFECT(drive_get(&next_out[2]) == 1, "destroy_workqueue runs what is pending");
}

const struct drive_program drive_program = {
    .name = "drm",
    .body = body,
    .allowed_reports = NULL,
};
