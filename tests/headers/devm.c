/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every name of linux/devm-helpers.h where the list is the driver's. */
#include <linux/devm-helpers.h>

struct device_context {
    struct devm_list devm;
    struct devm_action work_entry, poll_entry, own_entry;
    struct work_struct work;
    struct delayed_work poll;
};

static void work(struct work_struct *w)
{
    (void)w;
}

static void release(void *data)
{
    (void)data;
}

int use_devm(struct device_context *context);
int use_devm(struct device_context *context)
{
    int status = devm_work_autocancel(&context->devm, &context->work_entry, &context->work, work);

    if (!status)
        status = devm_delayed_work_autocancel(&context->devm, &context->poll_entry, &context->poll, work);
    if (!status)
        status = devm_add_action(&context->devm, &context->own_entry, release, context);
    if (status)
        devm_release_all(&context->devm);
    return status;
}
