/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Of the WDK's header of this name: functions that ntoskrnl exports. */
#ifndef STAND_IN_STRING_H
#define STAND_IN_STRING_H

#include <stddef.h>

void *memset(void *destination, int value, size_t size);
void *memcpy(void *destination, const void *source, size_t size);
size_t strlen(const char *text);

#endif
