/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Doubly linked lists through a member of the entries. */
#ifndef COMPAT_LINUX_LIST_H
#define COMPAT_LINUX_LIST_H

#include <linux/compiler.h>
#include <linux/container_of.h>
#include <linux/types.h>

/* What a removed entry points at: reading through it faults. */
#define LIST_POISON1 ((void *)(uintptr_t)0x100)
#define LIST_POISON2 ((void *)(uintptr_t)0x122)

#ifndef LIST_HEAD_INIT
#define LIST_HEAD_INIT(name)                                                                                 \
    {                                                                                                        \
        &(name), &(name)                                                                                     \
    }
#endif
#define LIST_HEAD(name) struct list_head name = LIST_HEAD_INIT(name)

static inline void INIT_LIST_HEAD(struct list_head *list)
{
    list->next = list;
    list->prev = list;
}

static inline void compat_list_insert(struct list_head *entry, struct list_head *before,
                                      struct list_head *after)
{
    entry->prev = before;
    entry->next = after;
    before->next = entry;
    after->prev = entry;
}

static inline void list_add(struct list_head *entry, struct list_head *head)
{
    compat_list_insert(entry, head, head->next);
}

static inline void list_add_tail(struct list_head *entry, struct list_head *head)
{
    compat_list_insert(entry, head->prev, head);
}

static inline void compat_list_unlink(struct list_head *entry)
{
    entry->next->prev = entry->prev;
    entry->prev->next = entry->next;
}

static inline void list_del(struct list_head *entry)
{
    compat_list_unlink(entry);
    entry->next = (struct list_head *)LIST_POISON1;
    entry->prev = (struct list_head *)LIST_POISON2;
}

static inline void list_del_init(struct list_head *entry)
{
    compat_list_unlink(entry);
    INIT_LIST_HEAD(entry);
}

static inline void list_replace(struct list_head *old, struct list_head *entry)
{
    compat_list_insert(entry, old->prev, old->next);
}

static inline void list_move(struct list_head *entry, struct list_head *head)
{
    compat_list_unlink(entry);
    list_add(entry, head);
}

static inline void list_move_tail(struct list_head *entry, struct list_head *head)
{
    compat_list_unlink(entry);
    list_add_tail(entry, head);
}

static inline int list_empty(const struct list_head *head)
{
    return READ_ONCE(head->next) == head;
}

static inline int list_is_first(const struct list_head *entry, const struct list_head *head)
{
    return entry->prev == head;
}

static inline int list_is_last(const struct list_head *entry, const struct list_head *head)
{
    return entry->next == head;
}

static inline int list_is_singular(const struct list_head *head)
{
    return !list_empty(head) && head->next == head->prev;
}

/* The entries of `list` between `before` and `after`; the head of `list` itself is not moved. */
static inline void compat_list_join(struct list_head *list, struct list_head *before, struct list_head *after)
{
    struct list_head *first = list->next;
    struct list_head *last = list->prev;

    first->prev = before;
    before->next = first;
    last->next = after;
    after->prev = last;
}

static inline void list_splice(struct list_head *list, struct list_head *head)
{
    if (!list_empty(list))
        compat_list_join(list, head, head->next);
}

static inline void list_splice_tail(struct list_head *list, struct list_head *head)
{
    if (!list_empty(list))
        compat_list_join(list, head->prev, head);
}

static inline void list_splice_init(struct list_head *list, struct list_head *head)
{
    list_splice(list, head);
    INIT_LIST_HEAD(list);
}

static inline void list_splice_tail_init(struct list_head *list, struct list_head *head)
{
    list_splice_tail(list, head);
    INIT_LIST_HEAD(list);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first_entry(ptr, type, member) list_entry((ptr)->next, type, member)
#define list_last_entry(ptr, type, member) list_entry((ptr)->prev, type, member)
#define list_first_entry_or_null(ptr, type, member)                                                          \
    (list_empty(ptr) ? NULL : list_first_entry(ptr, type, member))
#define list_next_entry(pos, member) list_entry((pos)->member.next, __typeof__(*(pos)), member)
#define list_prev_entry(pos, member) list_entry((pos)->member.prev, __typeof__(*(pos)), member)
#define list_entry_is_head(pos, head, member) (&(pos)->member == (head))

#define list_for_each(pos, head) for (pos = (head)->next; pos != (head); pos = pos->next)
#define list_for_each_safe(pos, n, head)                                                                     \
    for (pos = (head)->next, n = pos->next; pos != (head); pos = n, n = pos->next)
#define list_for_each_entry(pos, head, member)                                                               \
    for (pos = list_first_entry(head, __typeof__(*pos), member); !list_entry_is_head(pos, head, member);     \
         pos = list_next_entry(pos, member))
#define list_for_each_entry_reverse(pos, head, member)                                                       \
    for (pos = list_last_entry(head, __typeof__(*pos), member); !list_entry_is_head(pos, head, member);      \
         pos = list_prev_entry(pos, member))
#define list_for_each_entry_safe(pos, n, head, member)                                                       \
    for (pos = list_first_entry(head, __typeof__(*pos), member), n = list_next_entry(pos, member);           \
         !list_entry_is_head(pos, head, member); pos = n, n = list_next_entry(n, member))

#endif
