/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A callback where a function of the old form belongs.
 *
 * all c: any (generic )?association
 * all c++: invalid conversion|no matching function|cannot convert
 */
#include <linux/interrupt.h>

static void clean(struct tasklet_struct *t)
{
    (void)t;
}

DECLARE_TASKLET_OLD(tasklet, clean);
