/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The attributes are in compiler.h. */
#include <linux/compiler.h>
