/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A function that takes the delayed work, where one belongs that takes its work.
 *
 * all c: incompatible (function )?pointer type
 * all c++: invalid conversion|cannot (initialize|convert)
 */
#include <linux/workqueue.h>

static void poll(struct delayed_work *dwork)
{
    (void)dwork;
}

DECLARE_DELAYED_WORK(work, poll);
