/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The version of Linux whose interface this is: 6.12. */
#ifndef COMPAT_LINUX_VERSION_H
#define COMPAT_LINUX_VERSION_H

#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#define LINUX_VERSION_CODE KERNEL_VERSION(6, 12, 0)

#endif
