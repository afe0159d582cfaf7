// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Ends UDP sockets that the socket hook connected to a backend that is gone: their
 * owner gets ECONNABORTED and dials anew. An iterator over the UDP sockets of one
 * network namespace: that of whoever reads it (userspace/dataplane/gone_sockets.h).
 *
 * Reads gone_backends (which userspace fills for a run), backends, peers and sockets. Ends
 * only sockets that still go where the hook sent them, never one that dialled the
 * backend itself. Needs the kfunc bpf_sock_destroy (Linux 6.5), so that it is an
 * object of its own: without it all else works.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "lb_address.bpf.h"
#include "lb_maps.bpf.h"
#include "lb_peers.bpf.h"

#define AF_INET6 10

/* The kernel's own types, as far as they are used here; offsets are those of its BTF. */
struct in6_addr {
	union {
		__be32 u6_addr32[4];
	} in6_u;
} __attribute__((preserve_access_index));

struct sock_common {
	__be32 skc_daddr;
	__be16 skc_dport;
	unsigned short skc_family;
	struct in6_addr skc_v6_daddr;
} __attribute__((preserve_access_index));

struct sock {
	struct sock_common __sk_common;
} __attribute__((preserve_access_index));

struct udp_sock;
struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
} __attribute__((preserve_access_index));

struct bpf_iter__udp {
	struct bpf_iter_meta *meta;
	struct udp_sock *udp_sk;
} __attribute__((preserve_access_index));

extern int bpf_sock_destroy(struct sock_common *sock) __ksym;

/* Whom the run is about. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TOPOLB_MAX_GONE_BACKENDS);
	__type(key, struct topolb_gone_backend);
	__type(value, __u32);
} gone_backends SEC(".maps");

static __always_inline struct topolb_gone_backend destination_of(struct sock *sk)
{
	struct topolb_gone_backend destination = {.port_be = sk->__sk_common.skc_dport};

	if (sk->__sk_common.skc_family == AF_INET6) {
		const __be32 *words = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32;

		destination.address = ipv6_address(words[0], words[1], words[2], words[3]);
	} else {
		destination.address = ipv4_address(sk->__sk_common.skc_daddr);
	}
	return destination;
}

/* The backend has come back since. */
static __always_inline int is_served(const struct topolb_peer *peer)
{
	__u32 id = peer->backend_id;
	struct topolb_backend *backend = bpf_map_lookup_elem(&backends, &id);

	return backend && backend->state != TOPOLB_BACKEND_FREE &&
	       !(backend->flags & TOPOLB_BACKEND_GONE) && backend->protocol == IPPROTO_UDP &&
	       backend->port_be == peer->backend_port_be &&
	       same_address(&backend->address, &peer->backend_address);
}

SEC("iter/udp")
int topolb_end_gone(struct bpf_iter__udp *ctx)
{
	struct sock *sk = (struct sock *)ctx->udp_sk;
	struct topolb_gone_backend destination;
	struct topolb_peer *peer;
	char ended = 1;

	if (!sk)
		return 0;
	destination = destination_of(sk);
	if (!destination.port_be || !bpf_map_lookup_elem(&gone_backends, &destination))
		return 0;
	peer = peer_of_socket(sk);
	if (!peer || peer->backend_port_be != destination.port_be ||
	    !same_address(&peer->backend_address, &destination.address) || is_served(peer))
		return 0;
	/* What is written is counted by the reader. */
	if (bpf_sock_destroy((struct sock_common *)sk) == 0)
		bpf_seq_write(ctx->meta->seq, &ended, sizeof(ended));
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
