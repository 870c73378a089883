/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stands in for the header of DRM's odds and ends, as far as drm_flip_work.c needs it. */
#ifndef STUB_DRM_UTIL_H
#define STUB_DRM_UTIL_H

#include <linux/interrupt.h>
#include <linux/list.h>
#include <linux/types.h>

/* Whether the caller may sleep: not in an interrupt and not where bottom halves are off. */
static inline bool drm_can_sleep(void)
{
    return !in_atomic() && !irqs_disabled();
}

#endif
