// SPDX-License-Identifier: MIT OR Apache-2.0
/* Memory from the non-paged pool, and what stands in for it above DISPATCH_LEVEL. */
#include <stdarg.h>

#include <compat.h>

#include <linux/atomic.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/sprintf.h>
#include <linux/string.h>

#include "internal.h"

#define TAG 0x74706d63u
#define RESERVE_BLOCKS 32
#define RESERVE_BYTES 256

/* A block that waits to be freed at a lower IRQL. */
struct dead_block {
    struct dead_block *next;
};

static struct {
    uint64_t words[RESERVE_BYTES / 8];
} reserve[RESERVE_BLOCKS];
static unsigned int reserve_taken[RESERVE_BLOCKS];
static atomic_t blocks;
/* How many allocations from now the one is that fails; 0 and below: none. */
static atomic_t until_failure;
static struct dead_block *dead;
static KDPC free_dpc;

static void *take_reserve(size_t size)
{
    unsigned int i;

    for (i = 0; size <= RESERVE_BYTES && i < RESERVE_BLOCKS; i++) {
        if (!__atomic_exchange_n(&reserve_taken[i], 1, __ATOMIC_ACQUIRE))
            return &reserve[i];
    }
    return NULL;
}

void *kmalloc(size_t size, gfp_t flags)
{
    bool zeroed = (flags & __GFP_ZERO) != 0;
    void *block;

    if (size == 0)
        return ZERO_SIZE_PTR;
    if (atomic_read(&until_failure) > 0 && atomic_dec_return(&until_failure) == 0)
        return NULL;
    /* Room for the link of a block that is freed later. */
    size = max(size, sizeof(struct dead_block));
    if (KeGetCurrentIrql() <= DISPATCH_LEVEL) {
        block = ExAllocatePool2(POOL_FLAG_NON_PAGED | (zeroed ? 0 : POOL_FLAG_UNINITIALIZED), size, TAG);
    } else {
        block = take_reserve(size);
        if (block && zeroed)
            memset(block, 0, size);
    }
    if (block)
        atomic_inc(&blocks);
    return block;
}

void *kzalloc(size_t size, gfp_t flags)
{
    return kmalloc(size, flags | __GFP_ZERO);
}

void *kmalloc_array(size_t n, size_t size, gfp_t flags)
{
    if (size && n > SIZE_MAX / size)
        return NULL;
    return kmalloc(n * size, flags);
}

void *kcalloc(size_t n, size_t size, gfp_t flags)
{
    return kmalloc_array(n, size, flags | __GFP_ZERO);
}

static void free_dead(struct _KDPC *dpc, PVOID context, PVOID first, PVOID second)
{
    struct dead_block *block = __atomic_exchange_n(&dead, NULL, __ATOMIC_ACQUIRE);

    (void)dpc, (void)context, (void)first, (void)second;
    while (block) {
        struct dead_block *next = block->next;

        ExFreePoolWithTag(block, TAG);
        block = next;
    }
}

static void free_later(struct dead_block *block)
{
    block->next = __atomic_load_n(&dead, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&dead, &block->next, block, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
    }
    KeInsertQueueDpc(&free_dpc, NULL, NULL);
}

void kfree(const void *ptr)
{
    uintptr_t at = (uintptr_t)ptr - (uintptr_t)reserve;

    if (ZERO_OR_NULL_PTR(ptr))
        return;
    atomic_dec(&blocks);
    if (at < sizeof(reserve))
        __atomic_store_n(&reserve_taken[at / sizeof(reserve[0])], 0, __ATOMIC_RELEASE);
    else if (KeGetCurrentIrql() <= DISPATCH_LEVEL)
        ExFreePoolWithTag((void *)(uintptr_t)ptr, TAG);
    else
        free_later((struct dead_block *)(uintptr_t)ptr);
}

void kfree_sensitive(const void *ptr)
{
    kfree(ptr);
}

void *kmemdup(const void *source, size_t length, gfp_t flags)
{
    void *copy = kmalloc(length, flags);

    if (copy && length)
        memcpy(copy, source, length);
    return copy;
}

char *kstrdup(const char *text, gfp_t flags)
{
    return text ? kmemdup(text, strlen(text) + 1, flags) : NULL;
}

char *kasprintf(gfp_t flags, const char *fmt, ...)
{
    va_list args;
    char *text;
    int length;

    va_start(args, fmt);
    length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (length < 0)
        return NULL;
    text = kmalloc((size_t)length + 1, flags);
    if (!text)
        return NULL;
    va_start(args, fmt);
    vsnprintf(text, (size_t)length + 1, fmt, args);
    va_end(args);
    return text;
}

void compat_slab_init(void)
{
    atomic_set(&blocks, 0);
    atomic_set(&until_failure, 0);
    dead = NULL;
    memset(reserve_taken, 0, sizeof(reserve_taken));
    KeInitializeDpc(&free_dpc, free_dead, NULL);
}

unsigned int compat_slab_exit(void)
{
    return compat_allocations();
}

unsigned int compat_allocations(void)
{
    return (unsigned int)atomic_read(&blocks);
}

void compat_fail_allocation(unsigned int nth)
{
    atomic_set(&until_failure, (int)nth);
}
