// SPDX-License-Identifier: MIT OR Apache-2.0
/* Tests of memory, time, lists, bits, atomics and messages. */
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat_tests.h"

const char *test_memory(void)
{
    char *block = kzalloc(100, GFP_KERNEL), *copy, *text;
    int i;

    EXPECT(block);
    for (i = 0; i < 100; i++)
        EXPECT(block[i] == 0);
    memset(block, 3, 100);
    copy = kmemdup(block, 100, GFP_ATOMIC);
    EXPECT(copy && memcmp(copy, block, 100) == 0);
    text = kasprintf(GFP_KERNEL, "%s-%d", "name", 12);
    EXPECT(text && strcmp(text, "name-12") == 0);
    kfree(text);
    text = kstrdup("word", GFP_KERNEL);
    EXPECT(text && strcmp(text, "word") == 0 && !kstrdup(NULL, GFP_KERNEL));
    kfree(text);
    kfree(copy);
    kfree(block);
    kfree(NULL);
    kfree(kmalloc(0, GFP_KERNEL));
    EXPECT(!kmalloc_array(SIZE_MAX / 2, 3, GFP_KERNEL));
    block = kcalloc(4, 8, GFP_KERNEL);
    EXPECT(block && block[31] == 0);
    kfree(block);
    return NULL;
}

/* Leaves one block, which is found when the driver is unloaded. */
const char *test_memory_leak(void)
{
    EXPECT(kmalloc(1, GFP_KERNEL));
    return NULL;
}

const char *test_delays(void)
{
    ktime_t began = ktime_get();

    udelay(50);
    EXPECT(ktime_us_delta(ktime_get(), began) >= 50);
    began = ktime_get();
    mdelay(3);
    EXPECT(ktime_ms_delta(ktime_get(), began) >= 3);
    began = ktime_get();
    usleep_range(700, 800);
    EXPECT(ktime_us_delta(ktime_get(), began) >= 700 && ktime_us_delta(ktime_get(), began) < 2000);
    began = ktime_get();
    msleep(9);
    EXPECT(ktime_ms_delta(ktime_get(), began) >= 9);
    began = ktime_get();
    EXPECT(schedule_timeout_uninterruptible(3) == 0);
    EXPECT(ktime_ms_delta(ktime_get(), began) >= 3 * 1000 / HZ);
    EXPECT(ktime_compare(ktime_add_ms(began, 1), began) == 1 && ktime_before(began, ktime_get()));
    return NULL;
}

struct entry {
    int number;
    struct list_head list;
};

/* The numbers of a list as the digits of one. */
static int digits(struct list_head *head)
{
    struct entry *entry;
    int all = 0;

    list_for_each_entry(entry, head, list)
        all = all * 10 + entry->number;
    return all;
}

const char *test_lists(void)
{
    LIST_HEAD(head);
    LIST_HEAD(other);
    struct entry entries[4] = {{.number = 1}, {.number = 2}, {.number = 3}, {.number = 4}};
    struct entry *entry, *next;

    EXPECT(list_empty(&head) && !list_first_entry_or_null(&head, struct entry, list));
    list_add_tail(&entries[1].list, &head);
    EXPECT(list_is_singular(&head));
    list_add(&entries[0].list, &head);
    list_add_tail(&entries[2].list, &head);
    EXPECT(digits(&head) == 123 && list_first_entry(&head, struct entry, list)->number == 1);
    EXPECT(list_is_last(&entries[2].list, &head) && list_is_first(&entries[0].list, &head));
    list_move_tail(&entries[0].list, &head);
    EXPECT(digits(&head) == 231);
    list_replace(&entries[2].list, &entries[3].list);
    EXPECT(digits(&head) == 241);
    list_for_each_entry_safe(entry, next, &head, list) {
        if (entry->number == 4)
            list_del_init(&entry->list);
    }
    EXPECT(digits(&head) == 21 && list_empty(&entries[3].list));
    list_add(&entries[3].list, &other);
    list_splice_tail_init(&head, &other);
    EXPECT(list_empty(&head) && digits(&other) == 421);
    list_splice_init(&other, &head);
    list_del(&entries[1].list);
    EXPECT(digits(&head) == 41 && list_last_entry(&head, struct entry, list)->number == 1);
    return NULL;
}

const char *test_bits_and_atomics(void)
{
    DECLARE_BITMAP(map, 130) = {0};
    unsigned long bit, sum = 0;
    atomic_t v = ATOMIC_INIT(5);

    EXPECT(!test_and_set_bit(3, map) && test_and_set_bit(3, map) && test_bit(3, map));
    set_bit(129, map);
    __set_bit(64, map);
    for_each_set_bit(bit, map, 130)
        sum += bit;
    EXPECT(sum == 3 + 64 + 129 && find_first_zero_bit(map, 130) == 0);
    EXPECT(test_and_clear_bit(129, map) && !test_bit(129, map));
    EXPECT(find_next_bit(map, 130, 65) == 130);
    EXPECT(GENMASK(5, 2) == 0x3c && BIT(4) == 16 && fls(0x80) == 8 && ffs(8) == 4 && hweight32(0xf1) == 5);
    EXPECT(atomic_inc_return(&v) == 6 && atomic_sub_and_test(6, &v) && atomic_xchg(&v, 9) == 0);
    EXPECT(atomic_cmpxchg(&v, 8, 1) == 9 && atomic_cmpxchg(&v, 9, 1) == 9 && atomic_read(&v) == 1);
    EXPECT(atomic_dec_and_test(&v) && !atomic_inc_not_zero(&v) && !atomic_add_unless(&v, 1, 0));
    EXPECT(atomic_add_unless(&v, 2, 1) && atomic_fetch_add(3, &v) == 2 && atomic_add_negative(-6, &v));
    return NULL;
}

const char *test_messages(void)
{
    static bool first = true;
    unsigned int before = compat_warnings();
    char text[8];
    int i;

    pr_info("number %d\n", 7);
    EXPECT(!WARN_ON(false) && compat_warnings() == before);
    EXPECT(WARN_ON(true) && compat_warnings() == before + 1);
    for (i = 0; i < 3; i++)
        EXPECT(WARN_ON_ONCE(i >= 0));
    EXPECT(compat_warnings() == before + 1 + first);
    first = false;
    EXPECT(scnprintf(text, sizeof(text), "%s", "longer than that") == 7 && strcmp(text, "longer ") == 0);
    EXPECT(strscpy(text, "fits", sizeof(text)) == 4 && strscpy(text, "does not fit", sizeof(text)) == -E2BIG);
    EXPECT(strcmp(text, "does no") == 0);
    EXPECT(min(3, 2) == 2 && max_t(int, 3, 2) == 3 && clamp(7, 1, 5) == 5 && DIV_ROUND_UP(7, 2) == 4);
    return NULL;
}

const char *test_device(void)
{
    struct device dev;
    char *block;

    memset(&dev, 0, sizeof(dev));
    compat_device_init(&dev, "dev0");
    block = devm_kzalloc(&dev, 24, GFP_KERNEL);
    EXPECT(block && block[23] == 0 && devm_kzalloc(&dev, 8, GFP_KERNEL));
    dev_set_drvdata(&dev, block);
    EXPECT(dev_get_drvdata(&dev) == block && strcmp(dev_name(&dev), "dev0") == 0);
    compat_device_release(&dev);
    return NULL;
}
