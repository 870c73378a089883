/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stands in for a header of which i2c-slave-testunit.c takes nothing. */
#ifndef STUB_LINUX_OF_H
#define STUB_LINUX_OF_H

#endif
