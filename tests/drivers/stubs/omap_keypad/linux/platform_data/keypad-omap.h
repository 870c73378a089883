/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a board says of its keypad, as far as omap-keypad.c needs it. */
#ifndef STUB_KEYPAD_OMAP_H
#define STUB_KEYPAD_OMAP_H

#include <linux/input.h>

#define GROUP_MASK (3 << 30)
#define MATRIX_SCAN_CODE(row, col, row_shift) (((row) << (row_shift)) + (col))

struct matrix_keymap_data;

struct omap_kp_platform_data {
    int rows;
    int cols;
    const struct matrix_keymap_data *keymap_data;
    bool rep;
    unsigned long delay;
    bool dbounce;
    unsigned int *row_gpios;
    unsigned int *col_gpios;
};

int matrix_keypad_build_keymap(const struct matrix_keymap_data *data, const char *name, unsigned int rows,
                               unsigned int cols, unsigned short *keymap, struct input_dev *dev);

#endif
