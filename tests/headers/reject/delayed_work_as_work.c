/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A delayed work where a work belongs.
 *
 * all c: incompatible pointer type
 * all c++: cannot convert|no matching function
 */
#include <linux/workqueue.h>

bool queue(struct delayed_work *dwork);
bool queue(struct delayed_work *dwork)
{
    return schedule_work(dwork);
}
