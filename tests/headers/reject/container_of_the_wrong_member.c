/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A work, and the delayed work that it is a part of as the member.
 *
 * all c: pointer type mismatch
 * all c++: between distinct pointer types|pointer type mismatch|incompatible operand types
 */
#include <linux/workqueue.h>

struct device_context {
    int polls;
    struct delayed_work poll;
};

int polls(struct work_struct *work);
int polls(struct work_struct *work)
{
    return container_of(work, struct device_context, poll)->polls;
}
