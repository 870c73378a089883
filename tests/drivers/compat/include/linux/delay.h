/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sleeping for a time, and using the CPU for one. */
#ifndef COMPAT_LINUX_DELAY_H
#define COMPAT_LINUX_DELAY_H

/* Process context; never early. usleep_range is precise, the others follow the tick. */
void msleep(unsigned int msecs);
unsigned long msleep_interruptible(unsigned int msecs);
void usleep_range(unsigned long min, unsigned long max);
void ssleep(unsigned int seconds);
void fsleep(unsigned long usecs);

/* Any context. */
void ndelay(unsigned long nsecs);
void udelay(unsigned long usecs);
void mdelay(unsigned long msecs);

#endif
