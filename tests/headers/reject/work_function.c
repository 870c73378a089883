/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The function of a KMDF work item where that of a work belongs.
 *
 * all c: incompatible (function )?pointer type
 * all c++: invalid conversion|no matching function
 */
#include <linux/workqueue.h>

static void reset(void *data)
{
    (void)data;
}

void make(struct work_struct *work);
void make(struct work_struct *work)
{
    INIT_WORK(work, reset);
}
