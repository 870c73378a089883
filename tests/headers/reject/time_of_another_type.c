/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A time of 32 bits beside one of `unsigned long`, which Linux warns of too.
 *
 * all c: distinct pointer types
 */
#include <linux/jiffies.h>

bool over(unsigned int stamp);
bool over(unsigned int stamp)
{
    return time_after(jiffies, stamp);
}
