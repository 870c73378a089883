/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Pins, as far as omap-keypad.c needs them. */
#ifndef STUB_LINUX_GPIO_H
#define STUB_LINUX_GPIO_H

void gpio_free(unsigned int gpio);

#endif
