/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every name of linux/workqueue.h that is about workqueues, as drivers use them. */
#include <linux/workqueue.h>

/* The types of Linux. */
struct workqueue_struct *(*allocates)(const char *, unsigned int, int, ...) = alloc_workqueue;
void (*takes_queue[])(struct workqueue_struct *) = { flush_workqueue, drain_workqueue, destroy_workqueue };
bool (*takes_cpu)(int, struct workqueue_struct *) = workqueue_congested;
void (*takes_count)(struct workqueue_struct *, int) = workqueue_set_max_active;
void (*takes_nothing)(void) = flush_scheduled_work;

struct workqueue_struct *made[6];

static struct workqueue_struct *system_queue(int number)
{
    switch (number) {
    case 0:
        return system_wq;
    case 1:
        return system_percpu_wq;
    case 2:
        return system_highpri_wq;
    case 3:
        return system_long_wq;
    case 4:
        return system_unbound_wq;
    case 5:
        return system_dfl_wq;
    case 6:
        return system_dfl_long_wq;
    case 7:
        return system_freezable_wq;
    case 8:
        return system_power_efficient_wq;
    case 9:
        return system_freezable_power_efficient_wq;
    case 10:
        return system_bh_wq;
    default:
        return system_bh_highpri_wq;
    }
}

bool use_queues(int number, const char *name);
bool use_queues(int number, const char *name)
{
    made[0] = alloc_workqueue("plain", 0, 0);
    made[1] = alloc_workqueue("%s-%d", WQ_UNBOUND | WQ_FREEZABLE | WQ_MEM_RECLAIM | WQ_HIGHPRI,
                              WQ_MAX_ACTIVE, name, number);
    made[2] = alloc_ordered_workqueue("ordered-%d", WQ_MEM_RECLAIM, number);
    made[2] = alloc_ordered_workqueue("ordered", WQ_CPU_INTENSIVE | WQ_SYSFS | WQ_POWER_EFFICIENT);
    made[3] = create_workqueue(name);
    made[4] = create_singlethread_workqueue(name);
    made[5] = create_freezable_workqueue(name);
    made[5] = alloc_workqueue("bh", WQ_BH | WQ_PERCPU | WQ_NON_REENTRANT, 0);
    workqueue_set_max_active(made[1], WQ_UNBOUND_MAX_ACTIVE - WQ_DFL_ACTIVE);
    flush_workqueue(system_queue(number));
    drain_workqueue(made[0]);
    flush_scheduled_work();
    destroy_workqueue(made[number]);
    return workqueue_congested(0, system_wq);
}
