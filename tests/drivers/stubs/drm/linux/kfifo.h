/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stands in for a header of which drm_flip_work.h takes nothing but lists and the flags of allocations. */
#ifndef STUB_LINUX_KFIFO_H
#define STUB_LINUX_KFIFO_H

#include <linux/gfp.h>
#include <linux/list.h>

#endif
