/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The registers of the chip's pins, as far as omap-keypad.c needs them. */
#ifndef STUB_GPIO_OMAP_H
#define STUB_GPIO_OMAP_H

#define OMAP1_MPUIO_BASE 0xfffb5000
#define OMAP_MPUIO_KBR_LATCH 0x10
#define OMAP_MPUIO_KBC 0x14
#define OMAP_MPUIO_KBD_MASKIT 0x28
#define OMAP_MPUIO_GPIO_DEBOUNCING 0x30

#endif
