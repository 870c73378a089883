/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The clocks are in ktime.h. */
#include <linux/ktime.h>
