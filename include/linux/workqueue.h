/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Works, delayed works and workqueues. shim-api.md is the contract; each comment of the three headers says
 * the highest level of its call.
 *
 * Names and interfaces are Linux's, so that drivers compile unchanged; nothing else is taken from it.
 */
#ifndef BOTTOMHALF_LINUX_WORKQUEUE_H
#define BOTTOMHALF_LINUX_WORKQUEUE_H

#include <bottomhalf/queue.h>
#include <bottomhalf/work.h>
#include <bottomhalf/delayed_work.h>
#include <linux/jiffies.h>

#endif
