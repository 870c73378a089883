/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stands in for the private header of Linux's EDAC core, as far as its wq.c needs it. */
#ifndef STUB_EDAC_MODULE_H
#define STUB_EDAC_MODULE_H

#include <linux/errno.h>
#include <linux/export.h>
#include <linux/types.h>
#include <linux/workqueue.h>

int edac_workqueue_setup(void);
void edac_workqueue_teardown(void);
bool edac_queue_work(struct delayed_work *work, unsigned long delay);
bool edac_mod_work(struct delayed_work *work, unsigned long delay);
bool edac_stop_work(struct delayed_work *work);

#endif
