/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A driver in C over the installed library, on the simulated machine or the live one: an interrupt schedules a
 * tasklet, the tasklet queues a work, the work arms a delayed work, and that queues a work on a queue with a
 * formatted name. Each runs once. `consumer fails` is a run that fails.
 */
#include <stdio.h>
#include <string.h>

#include <bottomhalf.h>
#include <kmdf_mock.h>
#include <linux/interrupt.h>
#include <linux/workqueue.h>

#define SEEDS 20

struct adapter {
    struct tasklet_struct clean;
    struct work_struct reset;
    struct delayed_work poll;
    struct work_struct last;
    struct workqueue_struct *wq;
    KEVENT done;
    char said[64];
    LONG runs[4];
};

static void clean(struct tasklet_struct *t)
{
    struct adapter *adapter = from_tasklet(adapter, t, clean);

    KMDF_MOCK_ASSERT(KeGetCurrentIrql() == DISPATCH_LEVEL);
    /* Formatting needs a stack of some depth, wherever the function runs. */
    snprintf(adapter->said, sizeof(adapter->said), "%08.3f %s %p", 3.25, "cleaned", (void *)t);
    InterlockedIncrement(&adapter->runs[0]);
    KMDF_MOCK_ASSERT(queue_work(adapter->wq, &adapter->reset));
}

static void reset(struct work_struct *work)
{
    struct adapter *adapter = container_of(work, struct adapter, reset);

    InterlockedIncrement(&adapter->runs[1]);
    KMDF_MOCK_ASSERT(queue_delayed_work(adapter->wq, &adapter->poll, msecs_to_jiffies(8)));
}

static void poll(struct work_struct *work)
{
    struct adapter *adapter = container_of(to_delayed_work(work), struct adapter, poll);

    InterlockedIncrement(&adapter->runs[2]);
    KMDF_MOCK_ASSERT(schedule_work(&adapter->last));
}

static void last(struct work_struct *work)
{
    struct adapter *adapter = container_of(work, struct adapter, last);

    InterlockedIncrement(&adapter->runs[3]);
    DbgPrint("the adapter is idle: %s\n", adapter->said);
    KeSetEvent(&adapter->done, IO_NO_INCREMENT, FALSE);
}

static void interrupt(void *context)
{
    struct adapter *adapter = context;

    KMDF_MOCK_ASSERT(in_hardirq());
    tasklet_schedule(&adapter->clean);
}

static void prepare(struct adapter *adapter)
{
    memset(adapter, 0, sizeof(*adapter));
    tasklet_setup(&adapter->clean, clean);
    INIT_WORK(&adapter->reset, reset);
    INIT_DELAYED_WORK(&adapter->poll, poll);
    INIT_WORK(&adapter->last, last);
    KeInitializeEvent(&adapter->done, NotificationEvent, FALSE);
    adapter->wq = alloc_workqueue("adapter-%d", WQ_UNBOUND, 1, 7);
    KMDF_MOCK_ASSERT(adapter->wq != NULL);
}

static void drive(WDFDRIVER driver, void *context)
{
    static struct bottomhalf_attachment attachment;
    struct bottomhalf_config config;
    struct bottomhalf_counters counters;
    struct adapter *adapter = context;
    char reports[32];
    int i;

    bottomhalf_config_init(&config, BOTTOMHALF_NON_REENTRANT);
    KMDF_MOCK_ASSERT(NT_SUCCESS(bottomhalf_attach_driver(driver, &config, &attachment)));
    prepare(adapter);
    kmdf_mock_interrupt(1, interrupt, adapter);
    KeWaitForSingleObject(&adapter->done, Executive, KernelMode, FALSE, NULL);
    for (i = 0; i < 4; i++)
        KMDF_MOCK_ASSERT(adapter->runs[i] == 1);
    tasklet_kill(&adapter->clean);
    cancel_delayed_work_sync(&adapter->poll);
    flush_work(&adapter->last);
    destroy_workqueue(adapter->wq);
    bottomhalf_get_counters(&counters);
    KMDF_MOCK_ASSERT(counters.accepted == 4 && counters.run == 4);
    bottomhalf_detach(&attachment);
    KMDF_MOCK_ASSERT(kmdf_mock_reports(reports, sizeof(reports)) == 0);
    KMDF_MOCK_ASSERT(strcmp(adapter->said, "") != 0);
}

static void fails(WDFDRIVER driver, void *context)
{
    UNREFERENCED_PARAMETER(context);
    KMDF_MOCK_ASSERT(driver == NULL);
}

int main(int count, char **arguments)
{
    struct kmdf_mock_machine machine = { .tick_100ns = 40000 };
    const char *what = count > 1 ? arguments[1] : "sim";
    static struct adapter adapter;

    if (strcmp(what, "fails") == 0)
        return kmdf_mock_run(&machine, fails, NULL);
    if (strcmp(what, "live") == 0) {
        machine.engine = KMDF_MOCK_LIVE;
        return kmdf_mock_run(&machine, drive, &adapter);
    }
    for (machine.seed = 0; machine.seed < SEEDS; machine.seed++)
        if (kmdf_mock_run(&machine, drive, &adapter) != 0)
            return 1;
    printf("%d seeds\n", SEEDS);
    return 0;
}
