/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * HZ from somewhere else, which would make every delay wrong.
 *
 * all both: HZ is not BOTTOMHALF_HZ
 */
#define HZ 1000
#include <linux/jiffies.h>
