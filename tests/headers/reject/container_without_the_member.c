/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A member that the container does not have.
 *
 * all both: no member named .?flush
 */
#include <linux/workqueue.h>

struct device_context {
    struct work_struct poll;
};

void *context(struct work_struct *work);
void *context(struct work_struct *work)
{
    return container_of(work, struct device_context, flush);
}
