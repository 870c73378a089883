/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A queue whose pointer is dropped, where the WDK's annotations are there before our headers.
 *
 * all both: ignoring return value
 */
#include <ntddk.h>
#include <linux/workqueue.h>

void make(void);
void make(void)
{
    alloc_workqueue("lost", 0, 0);
}
