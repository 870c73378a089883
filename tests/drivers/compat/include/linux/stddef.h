/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* offsetof and NULL, and the two macros for the size and the end of a member. */
#ifndef COMPAT_LINUX_STDDEF_H
#define COMPAT_LINUX_STDDEF_H

#include <stddef.h>

#define sizeof_field(type, member) sizeof(((type *)0)->member)
#define offsetofend(type, member) (offsetof(type, member) + sizeof_field(type, member))

#endif
