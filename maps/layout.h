/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every struct that crosses the line between BPF and C++. Compiled by both.
 *
 * How one connection is chosen (docs/decisions/0001-map-layout.md):
 *
 *   frontends[address, port, protocol] -> service id, kind
 *   services[service id]               -> one set id per kind of client
 *   sets[set id]                       -> verdict, flags, tiers
 *   slots[tier.first_line + i/16]      -> backend id
 *   backends[backend id]               -> address, port, state
 *
 * A set, its chained sets and the slot lines of its tiers are immutable from
 * publication until a grace period after the service stopped pointing at them.
 * A Service is switched by one aligned 32-bit store into services[].
 *
 * Byte order: fields ending in _be are network order, all others host order.
 * Addresses are 16 bytes in network order; IPv4 is v4-mapped (::ffff:a.b.c.d).
 */
#ifndef TOPOLB_LAYOUT_H
#define TOPOLB_LAYOUT_H

#include <linux/types.h>

#include "limits.h"

#ifdef __cplusplus
#define TOPOLB_ASSERT(condition) static_assert(condition, #condition)
#else
#define TOPOLB_ASSERT(condition) _Static_assert(condition, #condition)
#endif
#define TOPOLB_ASSERT_OFFSET(type, field, offset)                                                  \
	TOPOLB_ASSERT(__builtin_offsetof(struct type, field) == (offset))

/* Aligned so that compilers copy it by words. */
struct topolb_address {
	__u8 bytes[16];
} __attribute__((aligned(4)));
TOPOLB_ASSERT(sizeof(struct topolb_address) == 16);

/* frontends: what clients dial. Hash; live entries only. A NodePort is one
 * entry per family with the unspecified address (0.0.0.0 as ::ffff:0.0.0.0). */
struct topolb_frontend {
	struct topolb_address address;
	__be16 port_be;
	__u8 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 pad;      /* 0 */
};
TOPOLB_ASSERT(sizeof(struct topolb_frontend) == 20);
TOPOLB_ASSERT_OFFSET(topolb_frontend, port_be, 16);

enum {
	TOPOLB_FRONTEND_CLUSTER_IP = 1,
	TOPOLB_FRONTEND_NODE_PORT = 2,
	TOPOLB_FRONTEND_EXTERNAL_IP = 3,
	TOPOLB_FRONTEND_LOAD_BALANCER = 4,
};

struct topolb_frontend_target {
	__u32 service_id;
	__u8 kind; /* TOPOLB_FRONTEND_* */
	__u8 pad[3];
};
TOPOLB_ASSERT(sizeof(struct topolb_frontend_target) == 8);

/* services: array by service id (one id per Service port and family). Set id 0
 * is never used by a live service: 0 means "no such service". */
struct topolb_service {
	__u32 internal_set; /* clients of the ClusterIP */
	__u32 external_set; /* packets from outside to an external frontend */
	__u32 node_set;	    /* sockets of this node that dial an external frontend */
	__u32 pad;
};
TOPOLB_ASSERT(sizeof(struct topolb_service) == 16);
TOPOLB_ASSERT_OFFSET(topolb_service, node_set, 8);

enum {
	TOPOLB_VERDICT_NONE = 0, /* a free row */
	TOPOLB_VERDICT_FORWARD = 1,
	TOPOLB_VERDICT_REJECT = 2,
	TOPOLB_VERDICT_DROP = 3,
};

enum {
	TOPOLB_SET_CLIENT_IP_AFFINITY = 1 << 0,
};

/* One tier that has at least one backend. Its ids are the slots
 * [0, backend_count) of a run of lines, ascending. */
struct topolb_tier {
	__u32 first_line;
	__u32 backend_count;
	__u16 topology_key_id; /* topology_keys; 0: the Service has no keys */
	__u8 counter;	       /* counters[set.first_counter + counter] */
	__u8 terminating;      /* 1: serving-terminating backends (KEP-1669) */
};
TOPOLB_ASSERT(sizeof(struct topolb_tier) == 12);
TOPOLB_ASSERT_OFFSET(topolb_tier, topology_key_id, 8);

/* sets: array by set id. The head counts in the first set of a chain only. */
struct topolb_set {
	__u8 verdict;	 /* TOPOLB_VERDICT_* */
	__u8 flags;	 /* TOPOLB_SET_* */
	__u8 tier_count; /* tiers in this set, without the chained ones */
	__u8 pad;
	__u32 affinity_timeout_s;
	__u32 first_counter; /* counters[first_counter]: refused */
	__u32 next_set;	     /* 0: the last of the chain */
	struct topolb_tier tiers[TOPOLB_TIERS_PER_SET];
};
TOPOLB_ASSERT(sizeof(struct topolb_set) == 64);
TOPOLB_ASSERT_OFFSET(topolb_set, tiers, 16);

/* slots: array of lines, in runs. */
struct topolb_slot_line {
	__u32 backend_ids[TOPOLB_SLOTS_PER_LINE];
};
TOPOLB_ASSERT(sizeof(struct topolb_slot_line) == 64);

enum {
	TOPOLB_BACKEND_FREE = 0, /* a free row */
	TOPOLB_BACKEND_USABLE = 1,
	TOPOLB_BACKEND_UNUSABLE = 2, /* skipped by every tier, at once */
};

/* backends: array by backend id, shared by all Services. Id 0 is never used. */
struct topolb_backend {
	struct topolb_address address;
	__be16 port_be;
	__u8 protocol;
	__u8 state; /* TOPOLB_BACKEND_* */
	__u32 pad;
};
TOPOLB_ASSERT(sizeof(struct topolb_backend) == 24);
TOPOLB_ASSERT_OFFSET(topolb_backend, state, 19);

/* affinities: LRU hash, ClientIP session affinity. */
struct topolb_affinity_key {
	__u64 client_netns_cookie;	      /* socket hook; else 0 */
	struct topolb_address client_address; /* per-packet path; else 0 */
	__u32 service_id;
	__u32 pad;
};
TOPOLB_ASSERT(sizeof(struct topolb_affinity_key) == 32);

struct topolb_affinity {
	__u64 last_used_ns; /* CLOCK_MONOTONIC */
	__u32 backend_id;
	__u32 slot; /* where it stood in its tier: a hint */
};
TOPOLB_ASSERT(sizeof(struct topolb_affinity) == 16);

/* counters: per-CPU array. A Service owns a run: TOPOLB_COUNTER_REFUSED, then
 * TOPOLB_COUNTER_WITHOUT_KEY, then one per topology key in order. Counts
 * connect() calls, and for unconnected UDP each datagram. */
enum {
	TOPOLB_COUNTER_REFUSED = 0,
	TOPOLB_COUNTER_WITHOUT_KEY = 1,
	TOPOLB_COUNTER_FIRST_KEY = 2,
};

struct topolb_counter {
	__u64 connections;
};

/* service_names: hash by service id; for people and for the agent's restart. */
struct topolb_service_name {
	char namespace_name[TOPOLB_NAME_LENGTH];
	char service_name[TOPOLB_NAME_LENGTH];
	char port_name[TOPOLB_NAME_LENGTH];
	__u16 port; /* host order */
	__u8 protocol;
	__u8 family; /* 4 or 6 */
	__u32 first_counter;
	__u32 counter_count;
};
TOPOLB_ASSERT(sizeof(struct topolb_service_name) == 204);

/* topology_keys: hash by key id. */
struct topolb_topology_key {
	char name[TOPOLB_TOPOLOGY_KEY_LENGTH];
};

/* node_addresses: hash of the node's own addresses, where NodePorts answer. */
struct topolb_node_address {
	__u32 interface_index;
};

/* settings: array with one row, written by the agent. */
struct topolb_settings {
	__u32 layout_version;
	__u16 node_port_min; /* host order; no NodePort at all: min > max */
	__u16 node_port_max;
	__u64 node_netns_cookie; /* NodePorts answer on loopback only here */
	__u64 published_ns;	 /* CLOCK_REALTIME of the last complete publication */
	__u64 publications;	 /* how many there were */
	char node_name[256];
};
TOPOLB_ASSERT(sizeof(struct topolb_settings) == 288);

/* One frontend that a socket dialled, and the backend it got for it. */
struct topolb_peer {
	struct topolb_address frontend_address;
	struct topolb_address backend_address;
	__be16 frontend_port_be;
	__be16 backend_port_be;
	__u32 service_id;
	__u32 backend_id;
	__u32 slot; /* where the backend stood in its tier: a hint */
};
TOPOLB_ASSERT(sizeof(struct topolb_peer) == 48);

/* udp_sockets: socket-local storage of an unconnected UDP socket: the last
 * frontends it sent to. (sockets, of connected ones, is one topolb_peer.) */
struct topolb_udp_socket {
	__u32 newest; /* index of the peer made last */
	__u32 pad;
	struct topolb_peer peers[TOPOLB_PEERS_PER_UDP_SOCKET];
};

#endif
