/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every name of linux/interrupt.h, linux/bottom_half.h and linux/preempt.h, as drivers use them. */
#include <linux/interrupt.h>

struct ring {
    int cleaned;
    struct tasklet_struct clean;
    struct tasklet_struct *old;
};

static void clean(struct tasklet_struct *t)
{
    struct ring *ring = from_tasklet(ring, t, clean);

    ring->cleaned++;
}

static void old_clean(unsigned long data)
{
    (void)data;
}

DECLARE_TASKLET(ready, clean);
static DECLARE_TASKLET_DISABLED(disabled, clean);
DECLARE_TASKLET_OLD(old_ready, old_clean);
static DECLARE_TASKLET_DISABLED_OLD(old_disabled, old_clean);

static struct ring rings[] = { { 1, BOTTOMHALF_TASKLET(clean, true, 0, 0), &old_disabled } };

/* The types of Linux. */
void (*takes_tasklet[])(struct tasklet_struct *) = {
    tasklet_schedule,          tasklet_hi_schedule, tasklet_disable, tasklet_disable_nosync,
    tasklet_disable_in_atomic, tasklet_enable,      tasklet_kill,    tasklet_unlock,
    tasklet_unlock_wait,       tasklet_unlock_spin_wait,
};
void (*makes_tasklet)(struct tasklet_struct *, void (*)(struct tasklet_struct *)) = tasklet_setup;

int use_tasklets(struct ring *ring);
int use_tasklets(struct ring *ring)
{
    tasklet_setup(&ring->clean, clean);
    tasklet_init(ring->old, old_clean, 0);
    tasklet_init(ring->old, &old_clean, ring->cleaned);
    tasklet_schedule(&ring->clean);
    tasklet_hi_schedule(&ready);
    tasklet_hi_schedule(&disabled);
    tasklet_enable(&old_ready);
    if (tasklet_trylock(&rings[0].clean))
        tasklet_unlock(&rings[0].clean);
    ring->clean.callback = clean;
    ring->old->func = old_clean;
    ring->clean.use_callback = true;
    return ring->clean.count.counter && !ring->clean.next &&
           (ring->clean.state & (1u << TASKLET_STATE_SCHED | 1u << TASKLET_STATE_RUN));
}

bool use_context(void);
bool use_context(void)
{
    bool seen;

    local_bh_disable();
    seen = in_interrupt() || in_softirq() || in_serving_softirq() || in_hardirq() || in_irq() || in_task() ||
           in_atomic() || irqs_disabled();
    local_bh_enable();
    return seen;
}
