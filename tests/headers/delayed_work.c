/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every name of linux/workqueue.h that is about delayed works, as drivers use them. */
#include <linux/workqueue.h>

struct device_context {
    int polls;
    struct delayed_work poll;
};

static void poll(struct work_struct *work)
{
    struct device_context *context = container_of(work, struct device_context, poll.work);
    struct device_context *same = container_of(to_delayed_work(work), struct device_context, poll);
    struct device_context *again = from_work(again, work, poll.work);

    context->polls += same == again;
}

static DECLARE_DELAYED_WORK(declared, poll);
static DECLARE_DEFERRABLE_WORK(deferrable, poll);
static struct device_context made = { 0, __DELAYED_WORK_INITIALIZER(made.poll, poll, 0) };

/* The types of Linux. */
bool (*takes_queue[])(struct workqueue_struct *, struct delayed_work *, unsigned long) = {
    queue_delayed_work,
    mod_delayed_work,
};
bool (*takes_cpu[])(int, struct workqueue_struct *, struct delayed_work *, unsigned long) = {
    queue_delayed_work_on,
    mod_delayed_work_on,
};
bool (*takes_work[])(struct delayed_work *) = {
    cancel_delayed_work,       cancel_delayed_work_sync, flush_delayed_work,
    disable_delayed_work_sync, disable_delayed_work,     enable_delayed_work,
};

bool use_delayed_works(struct workqueue_struct *wq, struct device_context *context);
bool use_delayed_works(struct workqueue_struct *wq, struct device_context *context)
{
    struct delayed_work on_stack;

    INIT_DELAYED_WORK(&context->poll, poll);
    INIT_DEFERRABLE_WORK(&context->poll, poll);
    INIT_DELAYED_WORK_ONSTACK(&on_stack, poll);
    INIT_DEFERRABLE_WORK_ONSTACK(&on_stack, poll);
    destroy_delayed_work_on_stack(&on_stack);
    schedule_delayed_work(&declared, 0);
    schedule_delayed_work_on(2, &deferrable, msecs_to_jiffies(20));
    queue_delayed_work(wq, &made.poll, HZ);
    mod_delayed_work(wq, &made.poll, (unsigned long)-1);
    return delayed_work_pending(&context->poll) && time_after(context->poll.timer.expires, jiffies) &&
           context->poll.wq == wq && context->poll.cpu == WORK_CPU_UNBOUND && context->poll.work.func == poll;
}
