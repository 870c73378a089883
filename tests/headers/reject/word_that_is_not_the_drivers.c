/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A store to the word of a work.
 *
 * all both: read-only|not assignable
 */
#include <linux/workqueue.h>

void forget(struct work_struct *work);
void forget(struct work_struct *work)
{
    *work_data_bits(work) &= ~WORK_STRUCT_PENDING;
}
