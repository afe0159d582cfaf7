// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Socket hooks of a cgroup: what a process dials is a frontend, what its socket
 * connects to is a backend; packets then flow with no translation.
 *
 * connect and sendmsg choose (lb_select.bpf.h) and rewrite the address; getpeername
 * and recvmsg show the frontend again, from what the choice left of the socket
 * (lb_peers.bpf.h); sock_release gives that back. They read frontends, services, sets,
 * slots, backends, node_addresses and settings, and write affinities, counters, peers,
 * sockets and udp_sockets. An address that is no frontend passes untouched.
 *
 * IPv4, IPv6 and v4-mapped IPv6 are one path: the 16-byte address is the key, and
 * a Service's backends are of its frontend's family.
 *
 * Return value: 1 lets the call go on, 0 fails it with the errno set by answer().
 */
#include <linux/errno.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "constants.bpf.h"
#include "lb_address.bpf.h"
#include "lb_bind.bpf.h"
#include "lb_peers.bpf.h"
#include "lb_select.bpf.h"

#define ALLOW 1
#define REFUSE 0

/* The address that the call is about, as the hook of either family has it. */
static __always_inline struct topolb_frontend read_ipv4(struct bpf_sock_addr *ctx)
{
	return (struct topolb_frontend){
		.address = ipv4_address(ctx->user_ip4),
		.port_be = (__be16)ctx->user_port,
		.protocol = (__u8)ctx->protocol,
	};
}

static __always_inline struct topolb_frontend read_ipv6(struct bpf_sock_addr *ctx)
{
	return (struct topolb_frontend){
		.address = ipv6_address(ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2],
					ctx->user_ip6[3]),
		.port_be = (__be16)ctx->user_port,
		.protocol = (__u8)ctx->protocol,
	};
}

static __always_inline void write_ipv4(struct bpf_sock_addr *ctx,
				       const struct topolb_address *address, __be16 port_be)
{
	ctx->user_ip4 = ipv4_of(address);
	ctx->user_port = port_be;
}

static __always_inline void write_ipv6(struct bpf_sock_addr *ctx,
				       const struct topolb_address *address, __be16 port_be)
{
	const __u32 *words = (const __u32 *)address;

	ctx->user_ip6[0] = words[0];
	ctx->user_ip6[1] = words[1];
	ctx->user_ip6[2] = words[2];
	ctx->user_ip6[3] = words[3];
	ctx->user_port = port_be;
}

/*
 * NodePorts answer on the node's own addresses from anywhere in this cgroup, and on
 * loopback for sockets of the node's own network namespace: a pod's loopback is its own.
 */
static __always_inline struct topolb_frontend_row *
find_node_port(struct bpf_sock_addr *ctx, struct topolb_frontend dialled,
	       const struct topolb_settings *config)
{
	if (!is_node_port(dialled.port_be, config))
		return NULL;
	if (is_loopback(&dialled.address)) {
		if (bpf_get_netns_cookie(ctx) != config->node_netns_cookie)
			return NULL;
	} else if (!bpf_map_lookup_elem(&node_addresses, &dialled.address)) {
		return NULL;
	}
	dialled.address = unspecified_like(&dialled.address);
	return find_row(&dialled);
}

static __always_inline struct topolb_frontend_row *
find_frontend(struct bpf_sock_addr *ctx, const struct topolb_frontend *dialled,
	      const struct topolb_settings *config)
{
	struct topolb_frontend_row *row;

	if (!is_forwarded_protocol(ctx->protocol))
		return NULL;
	row = find_row(dialled);
	/* Found by its own key, a NodePort was dialled at 0.0.0.0 or ::. */
	if (row && row->kind != TOPOLB_FRONTEND_NODE_PORT)
		return row;
	return find_node_port(ctx, *dialled, config);
}

/*
 * The errno of a refused call. In-kernel clients (NFS, SMB, Ceph) come through
 * here too and retry EPERM in a tight loop, while they back off from these two
 * (docs/decisions/0003-errno-of-refused-connections.md).
 */
static __always_inline int answer(__u32 verdict)
{
	if (verdict == TOPOLB_VERDICT_NONE || verdict == TOPOLB_VERDICT_FORWARD)
		return ALLOW;
	if (has_set_retval())
		bpf_set_retval(verdict == TOPOLB_VERDICT_DROP ? -EHOSTUNREACH : -ECONNREFUSED);
	return REFUSE;
}

/* Chooses for what was dialled; `choice` comes in with the backend to keep, if any. */
static __always_inline __u32 choose(struct bpf_sock_addr *ctx,
				    const struct topolb_frontend_row *frontend,
				    struct topolb_choice *choice)
{
	const volatile struct topolb_frontend_row *row = frontend;
	__u32 set_id = row->inside_set, service_id = row->service_id;
	struct topolb_set *set = bpf_map_lookup_elem(&sets, &set_id);

	if (!set || !set_id)
		return TOPOLB_VERDICT_NONE; /* withdrawn a moment ago */

	struct topolb_affinity_key client = {.service_id = service_id};
	__u32 has_affinity = set->flags & TOPOLB_SET_CLIENT_IP_AFFINITY;

	if (has_affinity) {
		client.client_netns_cookie = bpf_get_netns_cookie(ctx);
		propose_affinity(set, &client, choice);
	}
	__u32 verdict = walk_tiers(set, choice);

	if (has_affinity && verdict == TOPOLB_VERDICT_FORWARD)
		remember_affinity(&client, choice);
	return verdict;
}

static __always_inline void fill_peer(struct topolb_peer *peer,
				      const struct topolb_frontend *dialled, __u32 service_id,
				      const struct topolb_choice *choice)
{
	peer->frontend_address = dialled->address;
	peer->backend_address = choice->backend.address;
	peer->frontend_port_be = dialled->port_be;
	peer->backend_port_be = choice->backend.port_be;
	peer->service_id = service_id;
	peer->backend_id = choice->backend_id;
	peer->slot = choice->slot;
}

/* connect(): a TOPOLB_VERDICT_*; NONE: no Service was dialled. */
static __always_inline __u32 connect_to_backend(struct bpf_sock_addr *ctx,
						const struct topolb_frontend *dialled,
						struct topolb_choice *choice)
{
	struct topolb_settings *config = read_settings();
	struct topolb_frontend_row *target;
	struct topolb_peer *peer;
	__u32 verdict;

	if (!config)
		return TOPOLB_VERDICT_NONE;
	target = find_frontend(ctx, dialled, config);
	if (!target) {
		/* A socket that once dialled a Service may now dial a backend itself. */
		if (ctx->sk)
			forget_peer(ctx->sk);
		return TOPOLB_VERDICT_NONE;
	}
	verdict = choose(ctx, target, choice);
	if (verdict != TOPOLB_VERDICT_FORWARD || !ctx->sk)
		return verdict;
	peer = take_peer(ctx->sk);
	/* Without memory for it the connection works; getpeername shows the backend. */
	if (peer)
		fill_peer(peer, dialled, target->service_id, choice);
	return verdict;
}

static __always_inline int is_peer_of(const struct topolb_peer *peer,
				      const struct topolb_frontend *dialled)
{
	return peer->frontend_port_be == dialled->port_be &&
	       same_address(&peer->frontend_address, &dialled->address);
}

/* The peers of an unconnected UDP socket: the first is in a row, as a connected one's, since
 * most sockets send to one frontend only; the others are in a storage. NULL: it is
 * connected, and its row is for that. */
static __always_inline struct topolb_peer_line *line_for_sending(struct bpf_sock *socket)
{
	return socket->state == BPF_TCP_ESTABLISHED ? NULL : peer_line_of(socket);
}

/* The remembered peer of an unconnected UDP socket for a frontend, if any. */
static __always_inline struct topolb_peer *find_peer(struct bpf_sock *socket,
						     const struct topolb_frontend *dialled)
{
	struct topolb_peer_line *line = line_for_sending(socket);
	struct topolb_peer *row = line ? peer_in_line(line, socket) : NULL;
	struct topolb_udp_socket *storage;

	if (row && is_peer_of(row, dialled))
		return row;
	storage = bpf_sk_storage_get(&udp_sockets, socket, NULL, 0);
	if (!storage)
		return NULL;
	for (__u32 i = 0; i < TOPOLB_PEERS_PER_UDP_SOCKET; i++) {
		__u32 at = (storage->newest - i) % TOPOLB_PEERS_PER_UDP_SOCKET;
		struct topolb_peer *peer = &storage->peers[at];

		if (is_peer_of(peer, dialled))
			return peer;
	}
	return NULL;
}

/* Memory for a frontend that the socket has not sent to lately; NULL: there is none. */
static __always_inline struct topolb_peer *new_peer(struct bpf_sock *socket)
{
	struct topolb_peer_line *line = line_for_sending(socket);
	struct topolb_udp_socket *storage;

	if (line && !peer_in_line(line, socket)) {
		struct topolb_peer *row = take_row(line, socket);

		if (row)
			return row;
	}
	storage = bpf_sk_storage_get(&udp_sockets, socket, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!storage)
		return NULL;
	storage->newest = (storage->newest + 1) % TOPOLB_PEERS_PER_UDP_SOCKET;
	return &storage->peers[storage->newest % TOPOLB_PEERS_PER_UDP_SOCKET];
}

/*
 * sendto() on an unconnected UDP socket: like connect_to_backend, but the backend
 * of the last datagram to the same frontend is kept while it is in the effective
 * tier, as conntrack would keep it.
 */
static __always_inline __u32 send_to_backend(struct bpf_sock_addr *ctx,
					     const struct topolb_frontend *dialled,
					     struct topolb_choice *choice)
{
	struct topolb_settings *config = read_settings();
	struct topolb_frontend_row *target;
	struct topolb_peer known =
		{}; /* a copy: choose() is verified once, wherever it was found */
	struct topolb_peer *peer;
	__u32 verdict;

	if (!config || !ctx->sk)
		return TOPOLB_VERDICT_NONE;
	target = find_frontend(ctx, dialled, config);
	if (!target)
		return TOPOLB_VERDICT_NONE;
	peer = find_peer(ctx->sk, dialled);
	if (peer)
		known = *peer;
	if (known.service_id == target->service_id) {
		choice->backend_id = known.backend_id;
		choice->slot = known.slot;
	}
	verdict = choose(ctx, target, choice);
	if (verdict != TOPOLB_VERDICT_FORWARD)
		return verdict;
	if (known.backend_id == choice->backend_id && known.service_id == target->service_id &&
	    same_address(&known.backend_address, &choice->backend.address))
		return verdict;
	peer = find_peer(ctx->sk, dialled);
	if (!peer)
		peer = new_peer(ctx->sk);
	if (peer)
		fill_peer(peer, dialled, target->service_id, choice);
	return verdict;
}

/* The peer whose backend is `shown`, if the socket came to it through a frontend. */
static __always_inline struct topolb_peer *peer_of_backend(struct bpf_sock_addr *ctx,
							   const struct topolb_frontend *shown)
{
	struct topolb_peer *peer;

	if (!ctx->sk)
		return NULL;
	peer = peer_of_socket(ctx->sk);
	if (peer && peer->backend_port_be == shown->port_be &&
	    same_address(&peer->backend_address, &shown->address))
		return peer;
	return NULL;
}

static __always_inline struct topolb_peer *sender_of_datagram(struct bpf_sock_addr *ctx,
							      const struct topolb_frontend *sender)
{
	struct topolb_udp_socket *storage;

	if (!ctx->sk)
		return NULL;
	/* Those sent to last first: two frontends may share a backend. */
	storage = bpf_sk_storage_get(&udp_sockets, ctx->sk, NULL, 0);
	if (!storage)
		return peer_of_backend(ctx, sender);
	for (__u32 i = 0; i < TOPOLB_PEERS_PER_UDP_SOCKET; i++) {
		__u32 at = (storage->newest - i) % TOPOLB_PEERS_PER_UDP_SOCKET;
		struct topolb_peer *peer = &storage->peers[at];

		if (peer->backend_port_be == sender->port_be &&
		    same_address(&peer->backend_address, &sender->address))
			return peer;
	}
	return peer_of_backend(ctx, sender);
}

SEC("cgroup/connect4")
int topolb_connect4(struct bpf_sock_addr *ctx)
{
	struct topolb_frontend dialled = read_ipv4(ctx);
	struct topolb_choice choice = {};
	__u32 verdict = connect_to_backend(ctx, &dialled, &choice);

	if (verdict == TOPOLB_VERDICT_FORWARD)
		write_ipv4(ctx, &choice.backend.address, choice.backend.port_be);
	return answer(verdict);
}

SEC("cgroup/connect6")
int topolb_connect6(struct bpf_sock_addr *ctx)
{
	struct topolb_frontend dialled = read_ipv6(ctx);
	struct topolb_choice choice = {};
	__u32 verdict = connect_to_backend(ctx, &dialled, &choice);

	if (verdict == TOPOLB_VERDICT_FORWARD)
		write_ipv6(ctx, &choice.backend.address, choice.backend.port_be);
	return answer(verdict);
}

SEC("cgroup/sendmsg4")
int topolb_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct topolb_frontend dialled = read_ipv4(ctx);
	struct topolb_choice choice = {};
	__u32 verdict = send_to_backend(ctx, &dialled, &choice);

	if (verdict == TOPOLB_VERDICT_FORWARD)
		write_ipv4(ctx, &choice.backend.address, choice.backend.port_be);
	return answer(verdict);
}

SEC("cgroup/sendmsg6")
int topolb_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct topolb_frontend dialled = read_ipv6(ctx);
	struct topolb_choice choice = {};
	__u32 verdict = send_to_backend(ctx, &dialled, &choice);

	if (verdict == TOPOLB_VERDICT_FORWARD)
		write_ipv6(ctx, &choice.backend.address, choice.backend.port_be);
	return answer(verdict);
}

SEC("cgroup/recvmsg4")
int topolb_recvmsg4(struct bpf_sock_addr *ctx)
{
	struct topolb_frontend sender = read_ipv4(ctx);
	struct topolb_peer *peer = sender_of_datagram(ctx, &sender);

	if (peer)
		write_ipv4(ctx, &peer->frontend_address, peer->frontend_port_be);
	return ALLOW;
}

SEC("cgroup/recvmsg6")
int topolb_recvmsg6(struct bpf_sock_addr *ctx)
{
	struct topolb_frontend sender = read_ipv6(ctx);
	struct topolb_peer *peer = sender_of_datagram(ctx, &sender);

	if (peer)
		write_ipv6(ctx, &peer->frontend_address, peer->frontend_port_be);
	return ALLOW;
}

SEC("cgroup/getpeername4")
int topolb_getpeername4(struct bpf_sock_addr *ctx)
{
	struct topolb_frontend shown = read_ipv4(ctx);
	struct topolb_peer *peer = peer_of_backend(ctx, &shown);

	if (peer)
		write_ipv4(ctx, &peer->frontend_address, peer->frontend_port_be);
	return ALLOW;
}

SEC("cgroup/getpeername6")
int topolb_getpeername6(struct bpf_sock_addr *ctx)
{
	struct topolb_frontend shown = read_ipv6(ctx);
	struct topolb_peer *peer = peer_of_backend(ctx, &shown);

	if (peer)
		write_ipv6(ctx, &peer->frontend_address, peer->frontend_port_be);
	return ALLOW;
}

/* The socket is closed, by whoever had it last. */
SEC("cgroup/sock_release")
int topolb_sock_release(struct bpf_sock *socket)
{
	struct topolb_peer_line *line = peer_line_of(socket);

	if (line)
		give_back_rows(line, socket);
	return ALLOW;
}

/* A NodePort can't be bound on the node (lb_bind.bpf.h). */
static __always_inline int answer_bind(struct bpf_sock_addr *ctx, struct topolb_frontend wanted)
{
	if (!takes_node_port(ctx, wanted))
		return ALLOW;
	if (has_set_retval())
		bpf_set_retval(-EADDRINUSE);
	return REFUSE;
}

SEC("cgroup/bind4")
int topolb_bind4(struct bpf_sock_addr *ctx)
{
	return answer_bind(ctx, read_ipv4(ctx));
}

SEC("cgroup/bind6")
int topolb_bind6(struct bpf_sock_addr *ctx)
{
	return answer_bind(ctx, read_ipv6(ctx));
}

char _license[] SEC("license") = "Dual BSD/GPL";
