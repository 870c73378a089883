/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every name of linux/workqueue.h that is about works, as drivers use them. */
#include <linux/workqueue.h>

struct device_context {
    int resets;
    struct work_struct reset;
    struct execute_work later;
};

static void reset(struct work_struct *work)
{
    struct device_context *context = container_of(work, struct device_context, reset);
    struct device_context *same = from_work(same, work, reset);

    context->resets += same == context;
}

static long answer(void *arg)
{
    return arg ? -1 : 1;
}

static DECLARE_WORK(declared, reset);
static struct device_context made = {
    0, __WORK_INITIALIZER(made.reset, reset), { __WORK_INITIALIZER(made.later.work, reset) }
};

/* The types of Linux. */
bool (*takes_queue[])(struct workqueue_struct *, struct work_struct *) = {
    queue_work,
    enable_and_queue_work,
};
bool (*takes_cpu)(int, struct workqueue_struct *, struct work_struct *) = queue_work_on;
bool (*takes_work[])(struct work_struct *) = {
    schedule_work, cancel_work, cancel_work_sync,  flush_work,
    disable_work,  enable_work, disable_work_sync,
};
long (*takes_function[])(int, long (*)(void *), void *) = { work_on_cpu, work_on_cpu_safe };
void (*describes)(const char *, ...) = set_worker_desc;

bool use_works(struct workqueue_struct *wq, struct device_context *context);
bool use_works(struct workqueue_struct *wq, struct device_context *context)
{
    struct work_struct on_stack;
    work_func_t func = declared.func;

    if (!context->reset.func)
        INIT_WORK(&context->reset, (work_func_t)reset);
    context->reset.func = func;
    INIT_WORK_ONSTACK(&on_stack, reset);
    queue_work(wq, &on_stack);
    flush_work(&on_stack);
    destroy_work_on_stack(&on_stack);
    queue_work_on(WORK_CPU_UNBOUND, wq, &made.reset);
    schedule_work_on(1, &context->reset);
    set_worker_desc("reset %d of %s", context->resets, "it");
    if (current_work() == &context->reset || current_is_workqueue_rescuer())
        return false;
    if (execute_in_process_context(reset, &context->later) || schedule_on_each_cpu(reset))
        return false;
    if (*work_data_bits(&context->reset) & (WORK_STRUCT_PENDING | 1ul << WORK_STRUCT_PENDING_BIT))
        return context->reset.entry.next != context->reset.entry.prev || context->reset.data.counter;
    return work_pending(&context->reset) &&
           (work_busy(&context->reset) & (WORK_BUSY_PENDING | WORK_BUSY_RUNNING)) &&
           work_on_cpu(0, answer, context) == work_on_cpu_safe(0, answer, NULL);
}
