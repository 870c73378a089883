/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Memory from the non-paged pool. Above DISPATCH_LEVEL, where the pool cannot be asked, a block comes from a
 * small reserve, and a freed one goes back later.
 */
#ifndef COMPAT_LINUX_SLAB_H
#define COMPAT_LINUX_SLAB_H

#include <linux/compiler.h>
#include <linux/gfp.h>
#include <linux/types.h>

/* What an allocation of no bytes returns: no NULL, and not to be read. */
#define ZERO_SIZE_PTR ((void *)(uintptr_t)16)
#define ZERO_OR_NULL_PTR(ptr) ((uintptr_t)(ptr) <= (uintptr_t)ZERO_SIZE_PTR)

void *__must_check kmalloc(size_t size, gfp_t flags);
void *__must_check kzalloc(size_t size, gfp_t flags);
void *__must_check kmalloc_array(size_t n, size_t size, gfp_t flags);
void *__must_check kcalloc(size_t n, size_t size, gfp_t flags);
void kfree(const void *ptr);
void kfree_sensitive(const void *ptr);
void *__must_check kmemdup(const void *source, size_t length, gfp_t flags);
char *__must_check kstrdup(const char *text, gfp_t flags);
char *__must_check kasprintf(gfp_t flags, const char *fmt, ...) __printf(2, 3);

#define kvmalloc(size, flags) kmalloc(size, flags)
#define kvzalloc(size, flags) kzalloc(size, flags)
#define kvfree(ptr) kfree(ptr)

#endif
