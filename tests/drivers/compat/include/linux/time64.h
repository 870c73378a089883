/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Units of time. */
#ifndef COMPAT_LINUX_TIME64_H
#define COMPAT_LINUX_TIME64_H

#define MSEC_PER_SEC 1000L
#define USEC_PER_MSEC 1000L
#define NSEC_PER_USEC 1000L
#define NSEC_PER_MSEC 1000000L
#define USEC_PER_SEC 1000000L
#define NSEC_PER_SEC 1000000000L

#endif
