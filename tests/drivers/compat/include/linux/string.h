/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Strings and blocks of memory. */
#ifndef COMPAT_LINUX_STRING_H
#define COMPAT_LINUX_STRING_H

#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif
void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *at, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t size);
char *strchr(const char *text, int letter);
char *strrchr(const char *text, int letter);
char *strstr(const char *text, const char *part);
char *strncpy(char *to, const char *from, size_t size);
#ifdef __cplusplus
}
#endif

/* Copies what fits and always ends the text; the length, or -E2BIG when it was cut. */
ssize_t strscpy(char *to, const char *from, size_t size);
void *kmemdup(const void *source, size_t length, gfp_t flags);

#endif
