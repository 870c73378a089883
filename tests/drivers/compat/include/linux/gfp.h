/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How an allocation may behave: whether it may sleep, and whether the memory is zeroed. */
#ifndef COMPAT_LINUX_GFP_H
#define COMPAT_LINUX_GFP_H

#include <linux/types.h>

#define __GFP_ZERO 0x100u
#define __GFP_NOWARN 0x2000u
#define __GFP_RECLAIM 0xc00u
#define GFP_ATOMIC 0x820u
#define GFP_KERNEL 0xcc0u
#define GFP_NOWAIT 0x800u
#define GFP_NOIO 0xc00u
#define GFP_NOFS 0xc40u

#endif
