/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Drives vsock_loopback.c, a whole module: packets that several threads send are put on a list and delivered
 * by a work on the module's own queue.
 */
#include <linux/slab.h>
#include <linux/virtio_vsock.h>

#include <compat.h>

#include "drive.h"

#define SENDERS 4
#define PACKETS 40

int init_module(void);
void cleanup_module(void);

struct packet {
    struct sk_buff skb;
    int sender;
    int number;
};

static struct virtio_transport *transport;
static struct drive_runs deliveries;
static long delivered[SENDERS];
static long tapped;
static long purged;
static long disorder;
static long wrong_irql;

/* The functions that the module hands on are of no interest here, but have to be there. */
#define UNUSED(name)                                                                                         \
    int virtio_transport_##name(void)                                                                        \
    {                                                                                                        \
        return 0;                                                                                            \
    }
STUB_VSOCK_FUNCTIONS(UNUSED)

void skb_queue_head_init(struct sk_buff_head *list)
{
    INIT_LIST_HEAD(&list->list);
    spin_lock_init(&list->lock);
}

void skb_queue_tail(struct sk_buff_head *list, struct sk_buff *skb)
{
    unsigned long flags;

    spin_lock_irqsave(&list->lock, flags);
    list_add_tail(&skb->list, &list->list);
    spin_unlock_irqrestore(&list->lock, flags);
}

void skb_queue_splice_init(struct sk_buff_head *list, struct sk_buff_head *head)
{
    list_splice_tail(&list->list, &head->list);
    INIT_LIST_HEAD(&list->list);
}

struct sk_buff *__skb_dequeue(struct sk_buff_head *list)
{
    struct sk_buff *skb;

    if (list_empty(&list->list))
        return NULL;
    skb = list_first_entry(&list->list, struct sk_buff, list);
    list_del(&skb->list);
    return skb;
}

void virtio_vsock_skb_queue_purge(struct sk_buff_head *list)
{
    struct sk_buff *skb = __skb_dequeue(list);

    for (; skb; skb = __skb_dequeue(list)) {
        drive_add(&purged, 1);
        kfree(container_of(skb, struct packet, skb));
    }
}

int virtio_transport_purge_skbs(void *vsk, struct sk_buff_head *list)
{
    (void)vsk;
    virtio_vsock_skb_queue_purge(list);
    return 0;
}

int vsock_core_register(const struct vsock_transport *registered, int features)
{
    EFFECT(features == VSOCK_TRANSPORT_F_LOCAL, "the transport is a local one");
    transport = container_of(registered, struct virtio_transport, transport);
    return 0;
}

void vsock_core_unregister(const struct vsock_transport *registered)
{
    EFFECT(registered == &transport->transport, "what is unregistered was registered");
}

void virtio_transport_deliver_tap_pkt(struct sk_buff *skb)
{
    (void)skb;
    drive_add(&tapped, 1);
}

void virtio_transport_recv_pkt(struct virtio_transport *receiver, struct sk_buff *skb)
{
    struct packet *packet = container_of(skb, struct packet, skb);

    drive_enter(&deliveries);
    EFFECT(receiver == transport, "a packet is received by the transport");
    if (drive_irql() != DRIVE_PASSIVE)
        drive_add(&wrong_irql, 1);
    if (drive_get(&delivered[packet->sender]) != packet->number)
        drive_add(&disorder, 1);
    if (drive_choose(6) == 0)
        drive_sleep(1);
    drive_set(&delivered[packet->sender], packet->number + 1);
    kfree(packet);
    drive_leave(&deliveries);
}

static void send(int sender, int number)
{
    struct packet *packet = (struct packet *)kzalloc(sizeof(*packet), GFP_ATOMIC);

    packet->skb.len = 100 + (unsigned int)number;
    packet->sender = sender;
    packet->number = number;
    EFFECT(transport->send_pkt(&packet->skb) == 100 + number, "a packet is taken with its length");
}

static void sender(void *context)
{
    int me = (int)(uintptr_t)context;
    int i;

    for (i = 0; i < PACKETS; i++) {
        bool atomic = drive_choose(2) == 0;

        if (atomic)
            local_bh_disable();
        send(me, i);
        if (atomic)
            local_bh_enable();
        if (drive_choose(6) == 0)
            drive_sleep(1);
    }
}

static void every_packet_is_delivered(void)
{
    struct drive_thread *threads[SENDERS];
    int i;

    for (i = 0; i < SENDERS; i++)
        threads[i] = drive_spawn("sender", i, sender, (void *)(uintptr_t)i);
    for (i = 0; i < SENDERS; i++)
        drive_join(threads[i]);
    for (i = 0; i < SENDERS; i++) {
        DRIVE_WAIT(drive_get(&delivered[i]) == PACKETS);
        EFFECT(drive_get(&delivered[i]) == PACKETS, "every packet is delivered");
    }
    EFFECT(drive_get(&disorder) == 0, "once, and in the order of its sender");
    EFFECT(drive_get(&tapped) == SENDERS * PACKETS, "and to who listens in");
    EFFECT(drive_get(&deliveries.most) == 1, "one at a time");
    EFFECT(drive_get(&wrong_irql) == 0, "at PASSIVE_LEVEL");
}

/* The end of the module waits for its work, and throws away what came too late for that. */
static void the_end_leaves_nothing(void)
{
    int i;

    for (i = 0; i < SENDERS; i++)
        drive_set(&delivered[i], 0);
    for (i = 0; i < 20; i++)
        send(0, i);
    cleanup_module();
    EFFECT(drive_get(&delivered[0]) + drive_get(&purged) == 20, "what is sent is delivered or thrown away");
    EFFECT(drive_get(&purged) == 0, "the end waits for what is to be delivered");
    EFFECT(compat_allocations() == 0, "every packet is freed");
}

static void body(void)
{
    EFFECT(init_module() == 0, "the module is loaded");
    EFFECT(transport->transport.get_local_cid() == VMADDR_CID_LOCAL, "the transport says who it is");
    every_packet_is_delivered();
    the_end_leaves_nothing();
}

const struct drive_program drive_program = {
    .name = "vsock_loopback",
    .body = body,
    .allowed_reports = NULL,
};
