/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The chip's registers, as far as omap-keypad.c needs them. */
#ifndef STUB_OMAP1_IO_H
#define STUB_OMAP1_IO_H

#include <linux/types.h>

void omap_writew(u16 value, u32 address);
u16 omap_readw(u32 address);

#endif
