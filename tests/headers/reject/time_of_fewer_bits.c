/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A time of 32 bits beside one of 64.
 *
 * all both: negative|narrowing|size .*-1
 */
#include <linux/jiffies.h>

bool over(unsigned int stamp);
bool over(unsigned int stamp)
{
    return time_after64(get_jiffies_64(), stamp);
}
