/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Prints what C has, for tests/c_headers.rs to compare with what Rust has: the bytes of every item as it is
 * declared and as it is initialised over other bytes, and the constants.
 */
#include <bottomhalf.h>
#include <linux/devm-helpers.h>
#include <linux/interrupt.h>
#include <linux/workqueue.h>
#include <stdio.h>
#include <string.h>

#define CALLBACK ((void (*)(struct tasklet_struct *))0x1112131415161718)
#define FUNC ((void (*)(unsigned long))0x2122232425262728)
#define WORK ((work_func_t)0x3132333435363738)

static DECLARE_TASKLET(tasklet, CALLBACK);
static DECLARE_TASKLET_DISABLED(tasklet_disabled, CALLBACK);
static DECLARE_TASKLET_OLD(tasklet_old, FUNC);
static DECLARE_TASKLET_DISABLED_OLD(tasklet_disabled_old, FUNC);
static DECLARE_WORK(work, WORK);
static DECLARE_DELAYED_WORK(delayed_work, WORK);
static DECLARE_DEFERRABLE_WORK(deferrable_work, WORK);

static void bytes(const char *name, const void *item, size_t size)
{
    const unsigned char *byte = item;

    printf("%s ", name);
    while (size--)
        printf("%02x", *byte++);
    printf("\n");
}

/* What the call makes of memory that held other bytes. */
#define INITIALISED(type, call, ...) \
    do { \
        struct type item; \
        memset(&item, 0xa5, sizeof(item)); \
        call(&item, __VA_ARGS__); \
        bytes(#call, &item, sizeof(item)); \
    } while (0)

static void items(void)
{
    bytes("DECLARE_TASKLET", &tasklet, sizeof(tasklet));
    bytes("DECLARE_TASKLET_DISABLED", &tasklet_disabled, sizeof(tasklet_disabled));
    bytes("DECLARE_TASKLET_OLD", &tasklet_old, sizeof(tasklet_old));
    bytes("DECLARE_TASKLET_DISABLED_OLD", &tasklet_disabled_old, sizeof(tasklet_disabled_old));
    bytes("DECLARE_WORK", &work, sizeof(work));
    bytes("DECLARE_DELAYED_WORK", &delayed_work, sizeof(delayed_work));
    bytes("DECLARE_DEFERRABLE_WORK", &deferrable_work, sizeof(deferrable_work));
    INITIALISED(tasklet_struct, tasklet_setup, CALLBACK);
    INITIALISED(tasklet_struct, tasklet_init, FUNC, 0x4142434445464748);
    INITIALISED(work_struct, INIT_WORK, WORK);
    INITIALISED(work_struct, INIT_WORK_ONSTACK, WORK);
    INITIALISED(delayed_work, INIT_DELAYED_WORK, WORK);
    INITIALISED(delayed_work, INIT_DELAYED_WORK_ONSTACK, WORK);
    INITIALISED(delayed_work, INIT_DEFERRABLE_WORK, WORK);
    INITIALISED(delayed_work, INIT_DEFERRABLE_WORK_ONSTACK, WORK);
}

#define CONSTANT(name) printf(#name " %llu\n", (unsigned long long)(name))

static void constants(void)
{
    CONSTANT(TASKLET_STATE_SCHED);
    CONSTANT(TASKLET_STATE_RUN);
    CONSTANT(HZ);
    CONSTANT(INITIAL_JIFFIES);
    CONSTANT(MAX_JIFFY_OFFSET);
    CONSTANT(WORK_BUSY_PENDING);
    CONSTANT(WORK_BUSY_RUNNING);
    CONSTANT(WORK_CPU_UNBOUND);
    CONSTANT(WORK_STRUCT_PENDING);
    CONSTANT(WORK_STRUCT_PENDING_BIT);
    CONSTANT(WQ_BH);
    CONSTANT(WQ_CPU_INTENSIVE);
    CONSTANT(WQ_DFL_ACTIVE);
    CONSTANT(WQ_FREEZABLE);
    CONSTANT(WQ_HIGHPRI);
    CONSTANT(WQ_MAX_ACTIVE);
    CONSTANT(WQ_MEM_RECLAIM);
    CONSTANT(WQ_NON_REENTRANT);
    CONSTANT(WQ_PERCPU);
    CONSTANT(WQ_POWER_EFFICIENT);
    CONSTANT(WQ_SYSFS);
    CONSTANT(WQ_UNBOUND);
    CONSTANT(WQ_UNBOUND_MAX_ACTIVE);
    CONSTANT(secs_to_jiffies(3));
    CONSTANT(offsetof(struct delayed_work, timer.expires));
    CONSTANT(sizeof(struct devm_list));
    CONSTANT(sizeof(struct devm_action));
    CONSTANT(sizeof(struct execute_work));
}

int main(void)
{
    items();
    constants();
    return 0;
}
