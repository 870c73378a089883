/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sockets between virtual machines and the buffers of sockets, as far as vsock_loopback.c needs them. */
#ifndef STUB_LINUX_VIRTIO_VSOCK_H
#define STUB_LINUX_VIRTIO_VSOCK_H

#include <linux/errno.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#define VMADDR_CID_LOCAL 1
#define VSOCK_TRANSPORT_F_LOCAL 0x00000008
#define MODULE_ALIAS_NETPROTO(protocol) MODULE_ALIAS(#protocol)

struct sk_buff {
    struct list_head list;
    unsigned int len;
};

struct sk_buff_head {
    struct list_head list;
    spinlock_t lock;
};

void skb_queue_head_init(struct sk_buff_head *list);
void skb_queue_tail(struct sk_buff_head *list, struct sk_buff *skb);
void skb_queue_splice_init(struct sk_buff_head *list, struct sk_buff_head *head);
struct sk_buff *__skb_dequeue(struct sk_buff_head *list);
void virtio_vsock_skb_queue_purge(struct sk_buff_head *list);

struct vsock_sock;

/* The calls that the file hands on from another module; what they take does not matter to it. */
#define STUB_VSOCK_CALLS(call)                                                                                     \
    call(init, do_socket_init) call(destruct, destruct) call(release, release) call(connect, connect)              \
    call(shutdown, shutdown) call(dgram_bind, dgram_bind) call(dgram_dequeue, dgram_dequeue)                       \
    call(dgram_enqueue, dgram_enqueue) call(dgram_allow, dgram_allow) call(stream_dequeue, stream_dequeue)         \
    call(stream_enqueue, stream_enqueue) call(stream_has_data, stream_has_data)                                    \
    call(stream_has_space, stream_has_space) call(stream_rcvhiwat, stream_rcvhiwat)                                \
    call(stream_is_active, stream_is_active) call(stream_allow, stream_allow)                                      \
    call(seqpacket_dequeue, seqpacket_dequeue) call(seqpacket_enqueue, seqpacket_enqueue)                          \
    call(seqpacket_has_data, seqpacket_has_data) call(notify_poll_in, notify_poll_in)                              \
    call(notify_poll_out, notify_poll_out) call(notify_recv_init, notify_recv_init)                                \
    call(notify_recv_pre_block, notify_recv_pre_block) call(notify_recv_pre_dequeue, notify_recv_pre_dequeue)      \
    call(notify_recv_post_dequeue, notify_recv_post_dequeue) call(notify_send_init, notify_send_init)              \
    call(notify_send_pre_block, notify_send_pre_block) call(notify_send_pre_enqueue, notify_send_pre_enqueue)      \
    call(notify_send_post_enqueue, notify_send_post_enqueue) call(notify_buffer_size, notify_buffer_size)

#define STUB_VSOCK_DECLARE(member, function) int virtio_transport_##function(void);
STUB_VSOCK_CALLS(STUB_VSOCK_DECLARE)

#define STUB_VSOCK_MEMBER(member, function) int (*member)(void);
struct vsock_transport {
    struct module *module;
    u32 (*get_local_cid)(void);
    int (*cancel_pkt)(struct vsock_sock *vsk);
    bool (*seqpacket_allow)(u32 remote_cid);
    STUB_VSOCK_CALLS(STUB_VSOCK_MEMBER)
};

struct virtio_transport {
    struct vsock_transport transport;
    int (*send_pkt)(struct sk_buff *skb);
};

int virtio_transport_purge_skbs(void *vsk, struct sk_buff_head *list);
void virtio_transport_deliver_tap_pkt(struct sk_buff *skb);
void virtio_transport_recv_pkt(struct virtio_transport *transport, struct sk_buff *skb);
int vsock_core_register(const struct vsock_transport *transport, int features);
void vsock_core_unregister(const struct vsock_transport *transport);

#endif
