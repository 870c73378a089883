/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What drivers use of C's header of this name; clang has none of its own. */
#ifndef SYS_STRING_H
#define SYS_STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *at, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t size);
char *strchr(const char *text, int letter);

#endif
