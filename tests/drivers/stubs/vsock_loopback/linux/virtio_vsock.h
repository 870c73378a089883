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
#define STUB_VSOCK_FUNCTIONS(function)                                                                       \
    function(do_socket_init)                                                                                 \
    function(destruct)                                                                                       \
    function(release)                                                                                        \
    function(connect)                                                                                        \
    function(shutdown)                                                                                       \
    function(dgram_bind)                                                                                     \
    function(dgram_dequeue)                                                                                  \
    function(dgram_enqueue)                                                                                  \
    function(dgram_allow)                                                                                    \
    function(stream_dequeue)                                                                                 \
    function(stream_enqueue)                                                                                 \
    function(stream_has_data)                                                                                \
    function(stream_has_space)                                                                               \
    function(stream_rcvhiwat)                                                                                \
    function(stream_is_active)                                                                               \
    function(stream_allow)                                                                                   \
    function(seqpacket_dequeue)                                                                              \
    function(seqpacket_enqueue)                                                                              \
    function(seqpacket_has_data)                                                                             \
    function(notify_poll_in)                                                                                 \
    function(notify_poll_out)                                                                                \
    function(notify_recv_init)                                                                               \
    function(notify_recv_pre_block)                                                                          \
    function(notify_recv_pre_dequeue)                                                                        \
    function(notify_recv_post_dequeue)                                                                       \
    function(notify_send_init)                                                                               \
    function(notify_send_pre_block)                                                                          \
    function(notify_send_pre_enqueue)                                                                        \
    function(notify_send_post_enqueue)                                                                       \
    function(notify_buffer_size)
#define STUB_VSOCK_DECLARE(name) int virtio_transport_##name(void);
STUB_VSOCK_FUNCTIONS(STUB_VSOCK_DECLARE)

struct vsock_transport {
    struct module *module;
    u32 (*get_local_cid)(void);
    int (*cancel_pkt)(struct vsock_sock *vsk);
    bool (*seqpacket_allow)(u32 remote_cid);
    int (*init)(void);
    int (*destruct)(void);
    int (*release)(void);
    int (*connect)(void);
    int (*shutdown)(void);
    int (*dgram_bind)(void);
    int (*dgram_dequeue)(void);
    int (*dgram_enqueue)(void);
    int (*dgram_allow)(void);
    int (*stream_dequeue)(void);
    int (*stream_enqueue)(void);
    int (*stream_has_data)(void);
    int (*stream_has_space)(void);
    int (*stream_rcvhiwat)(void);
    int (*stream_is_active)(void);
    int (*stream_allow)(void);
    int (*seqpacket_dequeue)(void);
    int (*seqpacket_enqueue)(void);
    int (*seqpacket_has_data)(void);
    int (*notify_poll_in)(void);
    int (*notify_poll_out)(void);
    int (*notify_recv_init)(void);
    int (*notify_recv_pre_block)(void);
    int (*notify_recv_pre_dequeue)(void);
    int (*notify_recv_post_dequeue)(void);
    int (*notify_send_init)(void);
    int (*notify_send_pre_block)(void);
    int (*notify_send_pre_enqueue)(void);
    int (*notify_send_post_enqueue)(void);
    int (*notify_buffer_size)(void);
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
