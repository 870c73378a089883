/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * An HZ that the library cannot be built with.
 *
 * all both: HZ is 12 to 12287
 */
#define BOTTOMHALF_HZ 10
#include <linux/jiffies.h>
