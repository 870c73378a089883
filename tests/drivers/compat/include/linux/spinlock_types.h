/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The types are in spinlock.h. */
#include <linux/spinlock.h>
