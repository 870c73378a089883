/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A function of the old form where a callback belongs.
 *
 * all c: incompatible (function )?pointer type
 * all c++: invalid conversion|cannot (initialize|convert)
 */
#include <linux/interrupt.h>

static void clean(unsigned long data)
{
    (void)data;
}

DECLARE_TASKLET(tasklet, clean);
