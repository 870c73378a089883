/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stands in for a header of which rxe_task.c takes nothing that linux/interrupt.h does not have. */
#ifndef STUB_LINUX_HARDIRQ_H
#define STUB_LINUX_HARDIRQ_H

#include <linux/interrupt.h>

#endif
