/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stands in for the private header of Linux's soft RoCE driver, as far as its rxe_task.c needs it. */
#ifndef STUB_RXE_H
#define STUB_RXE_H

#include <linux/interrupt.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/spinlock.h>
#include <linux/types.h>

/*
 * How often a task's function is called in a row before the tasklet schedules itself and leaves the CPU.
 * Far less than in Linux, so that a short run comes to it often.
 */
#define RXE_MAX_ITERATIONS 8

#include "rxe_task.h"

#endif
