/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stands in for the header of DRM's messages, as far as drm_flip_work.c needs it. */
#ifndef STUB_DRM_PRINT_H
#define STUB_DRM_PRINT_H

#include <linux/bug.h>
#include <linux/export.h>
#include <linux/printk.h>

#define DRM_ERROR(...) pr_err(__VA_ARGS__)

#endif
