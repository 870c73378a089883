/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Drives iosm_ipc_task_queue.c: a ring of calls that a tasklet of the old form makes, some of them waited
 * for.
 */
#include <linux/slab.h>
#include <linux/string.h>

#include "iosm_ipc_imem.h"
#include "iosm_ipc_task_queue.h"

#include "compat.h"
#include "drive.h"

#define SENDERS 4
#define CALLS 40
#define SYNCHRONOUS 1000

static struct device dev;
static struct ipc_task task;
static struct iosm_imem imem = {.ipc_task = &task};

static long called[SENDERS][CALLS];
static long last[SENDERS];
static long disorder;
static long wrong_irql;
static long wrong_message;
static struct drive_runs runs;

struct message {
    int sender;
    int number;
    char text[40];
};

static void enter(struct iosm_imem *ipc_imem)
{
    drive_enter(&runs);
    if (drive_irql() != DRIVE_DISPATCH || !in_serving_softirq())
        drive_add(&wrong_irql, 1);
    EFFECT(ipc_imem == &imem, "the call is the device's");
}

/* Gets a copy of the message, because the sender's is gone or overwritten. */
static int on_message(struct iosm_imem *ipc_imem, int arg, void *msg, size_t size)
{
    const struct message *message = (const struct message *)msg;

    enter(ipc_imem);
    if (size != sizeof(*message) || arg != message->number || strcmp(message->text, "of the sender") != 0) {
        drive_add(&wrong_message, 1);
    } else {
        drive_add(&called[message->sender][message->number], 1);
        if (drive_get(&last[message->sender]) != message->number)
            drive_add(&disorder, 1);
        drive_set(&last[message->sender], message->number + 1);
    }
    drive_leave(&runs);
    return 0;
}

/* Answers with its argument; gets the sender's own pointer, because the size is 0. */
static int answer(struct iosm_imem *ipc_imem, int arg, void *msg, size_t size)
{
    int *seen = (int *)msg;

    enter(ipc_imem);
    *seen = arg;
    drive_leave(&runs);
    return size == 0 && arg % 5 == 0 ? -arg : 0;
}

static void send_message(void *context)
{
    struct message message = *(const struct message *)context;

    EFFECT(ipc_task_queue_send_task(&imem, on_message, message.number, &message, sizeof(message), false) == 0,
           "a call that is not waited for is taken");
    memset(&message, 0xff, sizeof(message));
}

static void sender(void *context)
{
    struct message message = {.sender = (int)(uintptr_t)context, .text = "of the sender"};

    for (message.number = 0; message.number < CALLS; message.number++) {
        int arg = SYNCHRONOUS + message.sender * CALLS + message.number;
        int seen = 0;

        if (drive_choose(3) == 0) {
            local_bh_disable();
            send_message(&message);
            local_bh_enable();
        } else {
            send_message(&message);
        }
        if (drive_choose(3) == 0) {
            int ret = ipc_task_queue_send_task(&imem, answer, arg, &seen, 0, true);

            EFFECT(seen == arg, "a call that is waited for has been made when it returns");
            EFFECT(ret == (arg % 5 == 0 ? -arg : 0), "with what the function returns");
            EFFECT(drive_get(&last[message.sender]) == message.number + 1, "after the calls before it");
        }
    }
}

static void every_call_is_made(void)
{
    struct drive_thread *threads[SENDERS];
    int i, j;

    for (i = 0; i < SENDERS; i++)
        threads[i] = drive_spawn("sender", i, sender, (void *)(uintptr_t)i);
    for (i = 0; i < SENDERS; i++)
        drive_join(threads[i]);
    DRIVE_WAIT(task.ipc_queue.q_rpos == task.ipc_queue.q_wpos && drive_get(&runs.inside) == 0);
    for (i = 0; i < SENDERS; i++)
        for (j = 0; j < CALLS; j++)
            EFFECT(drive_get(&called[i][j]) == 1, "every call is made, once");
    EFFECT(drive_get(&disorder) == 0, "those of a sender in their order");
    EFFECT(drive_get(&wrong_message) == 0, "with the message that was sent");
    EFFECT(drive_get(&wrong_irql) == 0, "in the tasklet, at DISPATCH_LEVEL");
    EFFECT(drive_get(&runs.most) == 1, "one at a time");
}

static int nothing(struct iosm_imem *ipc_imem, int arg, void *msg, size_t size)
{
    (void)arg;
    (void)msg;
    (void)size;
    enter(ipc_imem);
    drive_leave(&runs);
    return 0;
}

/* The ring has a place for one call less than its size. */
static void a_full_ring_refuses(void)
{
    long before = drive_get(&runs.runs);
    long printed = drive_printed("queue is full");
    int i;

    tasklet_disable(task.ipc_tasklet);
    for (i = 0; i < IPC_THREAD_QUEUE_SIZE - 1; i++)
        EFFECT(ipc_task_queue_send_task(&imem, nothing, i, NULL, 0, false) == 0,
               "the ring takes what it holds");
    EFFECT(ipc_task_queue_send_task(&imem, nothing, i, NULL, 0, false) == -EIO, "a full ring refuses");
    EFFECT(drive_printed("queue is full") == printed + 1, "and says so");
    EFFECT(drive_get(&runs.runs) == before, "a disabled tasklet makes no call");
    tasklet_enable(task.ipc_tasklet);
    DRIVE_WAIT(drive_get(&runs.runs) == before + IPC_THREAD_QUEUE_SIZE - 1);
    EFFECT(drive_get(&runs.runs) == before + IPC_THREAD_QUEUE_SIZE - 1,
           "what it took is made when it is enabled");
}

static void the_end_makes_what_is_scheduled(void)
{
    struct message message = {.sender = 0, .number = CALLS - 1, .text = "of the sender"};
    long runs_before = drive_get(&runs.runs);

    local_bh_disable();
    send_message(&message);
    local_bh_enable();
    ipc_task_deinit(&task);
    EFFECT(drive_get(&runs.runs) == runs_before + 1, "a scheduled tasklet runs before it is killed");
    EFFECT(compat_allocations() == 0, "every copy is freed, and the tasklet");
}

static void body(void)
{
    task.dev = &dev;
    EFFECT(ipc_task_init(&task) == 0, "the tasklet is made");
    every_call_is_made();
    a_full_ring_refuses();
    the_end_makes_what_is_scheduled();
    compat_fail_allocation(1);
    EFFECT(ipc_task_init(&task) == -ENOMEM, "without memory there is none");
}

const struct drive_program drive_program = {
    .name = "iosm_task_queue",
    .body = body,
    .allowed_reports = NULL,
};
