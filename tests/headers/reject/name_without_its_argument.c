/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A name that prints a string, and a number.
 *
 * all both: format (.%s. expects|specifies type)
 */
#include <linux/workqueue.h>

struct workqueue_struct *make(int number);
struct workqueue_struct *make(int number)
{
    return alloc_ordered_workqueue("%s", 0, number);
}
