/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every struct that crosses the line between BPF and C++. Compiled by both.
 *
 * How one connection is chosen (docs/decisions/0030-a-frontend-points-at-its-set.md):
 *
 *   frontends[hash of address, port, protocol] -> one set id per kind of client
 *   sets[set id]                               -> verdict, flags, a tier, its slots
 *   slots[set.first_line + i / 16]             -> slots of larger tiers
 *   backends[slot]                             -> address, port, state
 *
 * A set, its chained sets and the slot lines of their tiers are immutable from
 * publication until a grace period after the last frontend stopped pointing at
 * them. A frontend is switched by one aligned 32-bit store per kind of client.
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

/* Aligned so that compilers copy and compare it by halves. */
struct topolb_address {
	__u8 bytes[16];
} __attribute__((aligned(8)));
TOPOLB_ASSERT(sizeof(struct topolb_address) == 16);

/* What clients dial. A NodePort is one of these per family with the unspecified address
 * (0.0.0.0 as ::ffff:0.0.0.0). */
struct topolb_frontend {
	struct topolb_address address;
	__be16 port_be;
	__u8 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 pad[5];   /* 0 */
};
TOPOLB_ASSERT(sizeof(struct topolb_frontend) == 24);
TOPOLB_ASSERT_OFFSET(topolb_frontend, port_be, 16);

enum {
	TOPOLB_FRONTEND_CLUSTER_IP = 1,
	TOPOLB_FRONTEND_NODE_PORT = 2,
	TOPOLB_FRONTEND_EXTERNAL_IP = 3,
	TOPOLB_FRONTEND_LOAD_BALANCER = 4,
};

/* Set id 0 is never used: 0 means "nobody is served here any more". */
struct topolb_frontend_row {
	struct topolb_address address;
	__be16 port_be;
	__u8 protocol; /* 0: a row that was never used */
	__u8 kind;     /* TOPOLB_FRONTEND_* */
	__u32 service_id;
	__u32 inside_set;  /* for the cluster's own clients: sockets of the node, pods */
	__u32 outside_set; /* for packets from outside */
};
TOPOLB_ASSERT(sizeof(struct topolb_frontend_row) == 32);
TOPOLB_ASSERT_OFFSET(topolb_frontend_row, inside_set, 24);

/* frontends: array of cache lines, a hash table with linear probing. A frontend lies in the line
 * topolb_first_line(), or in one of the next TOPOLB_FRONTEND_PROBES - 1; a line whose last row
 * was never used ends the search, so rows that are given up keep their key until nobody can be
 * searching past them. */
struct topolb_frontend_line {
	struct topolb_frontend_row rows[TOPOLB_FRONTENDS_PER_LINE];
};
TOPOLB_ASSERT(sizeof(struct topolb_frontend_line) == 64);

/* The first line to look for a frontend in. `seed` is settings.frontend_seed, which nobody who
 * makes Services knows; of the map's lines, the last TOPOLB_FRONTEND_PROBES - 1 are nobody's
 * first. */
static inline __u32 topolb_first_line(const struct topolb_frontend *dialled, __u64 seed,
				      __u32 lines)
{
	const __u64 odd = 0x9e3779b97f4a7c15ULL; /* the golden ratio */
	__u64 halves[2], hash;

	/* Low bits change most of a product: those in which addresses differ come last on the wire.
	 */
	__builtin_memcpy(halves, &dialled->address, sizeof(halves));
	hash = (seed ^ __builtin_bswap64(halves[0])) * odd;
	hash = (hash ^ hash >> 32 ^ __builtin_bswap64(halves[1])) * odd;
	hash = (hash ^ hash >> 32 ^ dialled->port_be ^ (__u64)dialled->protocol << 16) * odd;
	return (__u32)((hash >> 32) * lines >> 32);
}

enum {
	TOPOLB_VERDICT_NONE = 0, /* a free row */
	TOPOLB_VERDICT_FORWARD = 1,
	TOPOLB_VERDICT_REJECT = 2,
	TOPOLB_VERDICT_DROP = 3,
};

enum {
	TOPOLB_SET_CLIENT_IP_AFFINITY = 1 << 0,
	/* Per-packet path: LoadBalancer frontends answer source_ranges only. */
	TOPOLB_SET_SOURCE_RANGES = 1 << 1,
	/* The tier is of serving-terminating backends (KEP-1669). */
	TOPOLB_SET_TERMINATING = 1 << 2,
};

/* sets: array by set id: a tier that has at least one backend, chained to the one to take if no
 * backend of this one is usable; a Service without backends has a set without a tier. Backend ids
 * ascend. Of verdict, the other flags, affinity_timeout_s and first_counter, those of the first set
 * of a chain count. */
struct topolb_set {
	/* Both in one byte: the tenth id finds room. */
	__u8 verdict : 4;      /* TOPOLB_VERDICT_* */
	__u8 flags : 4;	       /* TOPOLB_SET_* */
	__u8 counter;	       /* of the tier: counters[first_counter + counter] */
	__u16 topology_key_id; /* of the tier, in topology_keys; 0: the Service has no keys */
	__u32 affinity_timeout_s;
	__u32 first_counter; /* counters[first_counter]: refused */
	__u32 next_set;	     /* 0: the last of the chain */
	__u32 backend_count; /* 0: there is no tier */
	__u32 first_line;    /* slots[first_line]: where the backend ids begin; 0: they are here */
	__u32 backend_ids[TOPOLB_SLOTS_PER_SET];
};
TOPOLB_ASSERT(sizeof(struct topolb_set) == 64);
TOPOLB_ASSERT(TOPOLB_SET_TERMINATING < 1 << 4);
TOPOLB_ASSERT_OFFSET(topolb_set, counter, 1);
TOPOLB_ASSERT_OFFSET(topolb_set, topology_key_id, 2);
TOPOLB_ASSERT_OFFSET(topolb_set, next_set, 12);
TOPOLB_ASSERT_OFFSET(topolb_set, backend_ids, 24);

/* slots: array of lines, in runs, for tiers that find no room in their set. Slot s of a tier is in
 * line s / TOPOLB_SLOTS_PER_LINE of its run. Line 0 is never used. */
struct topolb_slot_line {
	__u32 backend_ids[TOPOLB_SLOTS_PER_LINE];
};
TOPOLB_ASSERT(sizeof(struct topolb_slot_line) == 64);

enum {
	TOPOLB_BACKEND_FREE = 0, /* a free row */
	TOPOLB_BACKEND_USABLE = 1,
	TOPOLB_BACKEND_UNUSABLE = 2, /* skipped by every tier, at once */
};

enum {
	/* On this node: its replies pass here, so packets to it keep the client's address. */
	TOPOLB_BACKEND_LOCAL = 1 << 0,
	/* Its endpoint is gone; the row is free after a grace period. */
	TOPOLB_BACKEND_GONE = 1 << 1,
	/* Its endpoint names no node: it may be outside of the cluster. */
	TOPOLB_BACKEND_NODELESS = 1 << 2,
};

/* backends: array by backend id, shared by all Services. Id 0 is never used. */
struct topolb_backend {
	struct topolb_address address;
	__be16 port_be;
	__u8 protocol;
	__u8 state;  /* TOPOLB_BACKEND_* */
	__u32 flags; /* TOPOLB_BACKEND_LOCAL, _GONE, _NODELESS */
};
TOPOLB_ASSERT(sizeof(struct topolb_backend) == 24);
TOPOLB_ASSERT_OFFSET(topolb_backend, state, 19);

/* gone_backends: hash, the value is 1: backends whose UDP sockets are to be ended; filled for one
 * run of lb_gone. */
struct topolb_gone_backend {
	struct topolb_address address;
	__be16 port_be;
	__u8 pad[6]; /* 0 */
};
TOPOLB_ASSERT(sizeof(struct topolb_gone_backend) == 24);

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

/* counters: array; counter i of CPU c is row c * (rows / CPUs) + i. A Service owns a run:
 * TOPOLB_COUNTER_REFUSED, then TOPOLB_COUNTER_WITHOUT_KEY, then one per topology key in
 * order. Counts connect() calls, and for unconnected UDP each datagram. */
enum {
	TOPOLB_COUNTER_REFUSED = 0,
	TOPOLB_COUNTER_WITHOUT_KEY = 1,
	TOPOLB_COUNTER_FIRST_KEY = 2,
};

struct topolb_counter {
	__u64 connections;
};

/* service_names: array, for people and for the agent's restart. A Service port's id is the first
 * row of its run; the rows after it continue its text. */
struct topolb_service_name {
	__u16 port; /* host order */
	__u8 protocol;
	__u8 family;	/* 4 or 6 */
	__u8 row_count; /* 0: a free row, or one that continues another */
	__u8 counter_count;
	__u16 pad;
	__u32 first_counter;
	char text[TOPOLB_NAME_TEXT_LENGTH]; /* NAMESPACE/NAME/PORT NAME, padded with NULs */
};
TOPOLB_ASSERT(sizeof(struct topolb_service_name) == 64);
TOPOLB_ASSERT_OFFSET(topolb_service_name, text, 12);

/* topology_keys: hash by key id. */
struct topolb_topology_key {
	char name[TOPOLB_TOPOLOGY_KEY_LENGTH];
};

/* node_addresses: hash of the node's own addresses, where NodePorts answer this node's sockets. */
struct topolb_node_address {
	__u32 interface_index;
	__u32 flags; /* TOPOLB_NODE_ADDRESS_* */
};
TOPOLB_ASSERT(sizeof(struct topolb_node_address) == 8);

enum {
	/* Per-packet path: NodePorts answer here (--nodeport-addresses). */
	TOPOLB_NODE_ADDRESS_NODE_PORTS = 1 << 0,
};

/* Ports: those of well-known Services a bit each, of the others 128 to a bit. Most packets of a
 * node's own clients need no look-up, as the ports that the kernel gives them lie apart. Nothing is
 * ever taken out. */
#define TOPOLB_WELL_KNOWN_PORTS 1024
#define TOPOLB_PORTS_PER_BIT 128
struct topolb_port_set {
	__u64 words[(TOPOLB_WELL_KNOWN_PORTS + 65536 / TOPOLB_PORTS_PER_BIT) / 64];
};

static inline __u32 topolb_port_bit(__u16 port)
{
	return port < TOPOLB_WELL_KNOWN_PORTS
		       ? port
		       : TOPOLB_WELL_KNOWN_PORTS + port / TOPOLB_PORTS_PER_BIT;
}

static inline void topolb_add_port(struct topolb_port_set *set, __u16 port)
{
	__u32 bit = topolb_port_bit(port);

	/* Threads of the agent do so at the same time. */
	__sync_fetch_and_or(&set->words[bit / 64], 1ULL << bit % 64);
}

/* A device whose packets are masqueraded with addresses of its own. */
struct topolb_masquerade_device {
	__u32 interface_index;
	__u8 rows[2]; /* as settings.node_masquerades; 0: it has none of that family */
	__u8 pad[2];
} __attribute__((aligned(8))); /* the agent writes it at once */
TOPOLB_ASSERT(sizeof(struct topolb_masquerade_device) == 8);

/* settings: array with one row, written by the agent. The first line is what programs read for most
 * packets and calls, and is seldom written. */
struct topolb_settings {
	__u32 layout_version;
	__u16 node_port_min; /* host order; no NodePort at all: min > max */
	__u16 node_port_max;
	__u64 node_netns_cookie; /* NodePorts answer on loopback only here */
	/* Per-packet path, host order, inclusive. Neither NodePorts nor the node's ephemeral
	 * ports. */
	__u16 masquerade_port_min;
	__u16 masquerade_port_max;
	__u32 packet_flags;    /* TOPOLB_PACKETS_* */
	__u64 masquerade_bits; /* topolb_masquerade_bit() of all masquerades */
	/* The row of masquerades that new flows take, by TOPOLB_IPV4 and TOPOLB_IPV6, if the device
	 * by which they leave says nothing else; 0: there is none. */
	__u8 node_masquerades[2];
	/* The same rows where NodePorts answer on their address, else 0: most NodePorts are dialled
	 * by these, and need no look into node_addresses. */
	__u8 node_port_rows[2];
	__u8 masquerade_device_count;
	__u8 pad[3];
	__u64 frontend_seed; /* programs have it in their instructions */
	char node_name[256];
	__u64 published_ns; /* CLOCK_REALTIME of the last complete publication */
	__u64 publications; /* how many there were */
	/* CLOCK_REALTIME of the API server's last word on the kind of object that it has been
	 * silent about for longest; 0: objects come from files. */
	__u64 heard_ns;
	/* Per-packet path: of every row of frontends, of backends and of flows. */
	struct topolb_port_set frontend_ports;
	struct topolb_port_set backend_ports;
	/* Addresses of the node that packets to remote backends get as their source. A row stays
	 * what it is as long as there may be a flow of it; unspecified: free. Row 0 is never
	 * used. */
	struct topolb_address masquerades[TOPOLB_MASQUERADES];
	struct topolb_masquerade_device masquerade_devices[TOPOLB_MASQUERADE_DEVICES];
};
TOPOLB_ASSERT(sizeof(struct topolb_settings) == 1864);
TOPOLB_ASSERT_OFFSET(topolb_settings, node_name, 48);
TOPOLB_ASSERT_OFFSET(topolb_settings, frontend_ports, 328);
TOPOLB_ASSERT_OFFSET(topolb_settings, masquerades, 712);

enum {
	TOPOLB_IPV4 = 0,
	TOPOLB_IPV6 = 1,
};

/* Tells most addresses that are no masquerade, by the last byte. */
static inline __u64 topolb_masquerade_bit(__u8 last_byte)
{
	return 1ULL << (last_byte & 63);
}

enum {
	/* TCP flows whose backend is gone go on to where it was, instead of being reset. */
	TOPOLB_PACKETS_KEEP_TCP_OF_GONE_BACKENDS = 1 << 0,
	/* TCP of no known flow is dropped instead of reset: the table is being replaced. */
	TOPOLB_PACKETS_HOLD_UNKNOWN_FLOWS = 1 << 1,
};

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

/* peers: array of lines: the peers of connected sockets, and the first one of unconnected UDP
 * sockets. A socket's line is found by a hash of its
 * address in the kernel's memory, which is what the line has it under. A socket that finds no room
 * has its peer in socket-local storage, `sockets`. */
struct topolb_peer_line {
	__u64 sockets[TOPOLB_PEERS_PER_LINE]; /* 0: a free row */
	__u32 overflowed;		      /* 1: some socket found no room here once */
	__u32 pad;
	struct topolb_peer peers[TOPOLB_PEERS_PER_LINE];
	__u8 to_whole_cache_lines[48];
};
TOPOLB_ASSERT(sizeof(struct topolb_peer_line) == 448);
TOPOLB_ASSERT_OFFSET(topolb_peer_line, peers, 64);

/* udp_sockets: socket-local storage of an unconnected UDP socket that has sent to more than one
 * frontend: the last of the others. */
struct topolb_udp_socket {
	__u32 newest; /* index of the peer made last */
	__u32 pad;
	struct topolb_peer peers[TOPOLB_PEERS_PER_UDP_SOCKET];
};

/* What a packet of a flow looks like. */
struct topolb_flow_key {
	struct topolb_address source;
	struct topolb_address destination;
	__be16 source_port_be;
	__be16 destination_port_be;
	__u8 protocol;
	__u8 pad[3]; /* 0 */
};
TOPOLB_ASSERT(sizeof(struct topolb_flow_key) == 40);
TOPOLB_ASSERT_OFFSET(topolb_flow_key, protocol, 36);

enum { /* topolb_flow.state, the low half: what it is, and what was seen in either direction */
       TOPOLB_FLOW_MASQUERADED = 1 << 0, /* the backend sees an address of the node */
       /* The backend's node answers the client (--dsr): replies are not seen here. */
       TOPOLB_FLOW_DIRECT = 1 << 1,
       TOPOLB_FLOW_REPLIED = 1 << 8, /* TCP: and the client has acknowledged it */
       TOPOLB_FLOW_CLIENT_FIN = 1 << 9,
       TOPOLB_FLOW_BACKEND_FIN = 1 << 10,
       TOPOLB_FLOW_RESET = 1 << 11,
       TOPOLB_FLOW_CLIENT_FIN_ACKED = 1 << 12, /* the backend has acknowledged it */
       TOPOLB_FLOW_BACKEND_FIN_ACKED = 1 << 13,
       TOPOLB_FLOW_ANSWERED = 1 << 14, /* TCP: replied to, not acknowledged yet */
       TOPOLB_FLOW_SEEN = 0xff00,
       TOPOLB_FLOW_CLOSED = TOPOLB_FLOW_CLIENT_FIN | TOPOLB_FLOW_BACKEND_FIN,
       TOPOLB_FLOW_ALL_ACKED = TOPOLB_FLOW_CLIENT_FIN_ACKED | TOPOLB_FLOW_BACKEND_FIN_ACKED
};

/* The next hop of packets that don't go through the stack. */
struct topolb_hop {
	struct topolb_address address;
	__u32 interface_index; /* 0: not known */
	__u16 mtu;
	__u16 fin_end; /* of a flow's: what acknowledges the FIN sent that way, the low half */
};
TOPOLB_ASSERT(sizeof(struct topolb_hop) == 24);

enum {
	TOPOLB_TO_BACKEND = 0,
	TOPOLB_TO_CLIENT = 1,
};

#define TOPOLB_FLOW_KEY_SHIFT 16

/* flows: array of the per-packet path (flow_table.h), one row per flow, two cache lines. */
struct topolb_flow {
	struct topolb_address client;
	struct topolb_address frontend;
	struct topolb_address backend;
	__be16 client_port_be;
	__be16 frontend_port_be;
	__be16 backend_port_be;
	__be16 source_port_be; /* of the client, as the backend sees it */
	__u32 state;	       /* TOPOLB_FLOW_*; the high half: id of the chosen tier's key */
	__u8 protocol;
	__u8 masquerade;  /* row of settings.masquerades, if it is masqueraded */
	__u16 generation; /* odd: the row is being written, or free */
	/* Of masqueraded flows; found anew at each touch. */
	struct topolb_hop hops[2]; /* by TOPOLB_TO_* */
	__u32 touched;		   /* topolb_flow_time() of a packet; up to 2.5 s late */
	__u32 created;		   /* topolb_flow_time() */
	__u32 backend_id;
	__u32 touched_tick; /* jiffies at `touched` */
};
TOPOLB_ASSERT(sizeof(struct topolb_flow) == 128);
TOPOLB_ASSERT_OFFSET(topolb_flow, state, 56);
TOPOLB_ASSERT_OFFSET(topolb_flow, generation, 62);
TOPOLB_ASSERT_OFFSET(topolb_flow, hops, 64);
TOPOLB_ASSERT_OFFSET(topolb_flow, touched, 112);

/* The topology key of the tier that was chosen; 0: the Service has no keys. */
static inline __u16 topolb_flow_key_id(const struct topolb_flow *flow)
{
	return (__u16)(flow->state >> TOPOLB_FLOW_KEY_SHIFT);
}

/* routes: per-CPU array: where packets to an address went last; a cache. */
struct topolb_route {
	struct topolb_address destination;
	struct topolb_hop hop;
	__u32 found_tick; /* jiffies */
	__u32 pad;
};
TOPOLB_ASSERT(sizeof(struct topolb_route) == 48);

/* Seconds without a packet after which a flow is over; for the programs and the collector. */
static inline __u32 topolb_flow_timeout_s(__u8 protocol, __u32 state)
{
	if (protocol != 6) /* IPPROTO_TCP */
		return state & TOPOLB_FLOW_REPLIED ? TOPOLB_FLOW_UDP_REPLIED_S
						   : TOPOLB_FLOW_UDP_UNREPLIED_S;
	if (state & TOPOLB_FLOW_RESET || (state & TOPOLB_FLOW_CLOSED) == TOPOLB_FLOW_CLOSED)
		return TOPOLB_FLOW_TCP_CLOSED_S;
	if (state & TOPOLB_FLOW_CLOSED)
		return state & TOPOLB_FLOW_DIRECT ? TOPOLB_FLOW_TCP_DIRECT_FIN_S
						  : TOPOLB_FLOW_TCP_HALF_CLOSED_S;
	return state & TOPOLB_FLOW_REPLIED ? TOPOLB_FLOW_TCP_ESTABLISHED_S
					   : TOPOLB_FLOW_TCP_OPENING_S;
}

/* fragments: LRU hash: the ports of a datagram, which only its first fragment carries. */
struct topolb_fragment_key {
	struct topolb_address source;
	struct topolb_address destination;
	__u32 identification; /* as on the wire */
	__u8 protocol;
	__u8 pad[3]; /* 0 */
};
TOPOLB_ASSERT(sizeof(struct topolb_fragment_key) == 40);

struct topolb_fragment {
	__be16 source_port_be;
	__be16 destination_port_be;
};

/* source_ranges: LPM trie of loadBalancerSourceRanges; the value is 1. IPv4 prefixes count from the
 * 96 bits of ::ffff:0:0/96, so prefix_bits is 32 (service id) + 96 + the prefix, or 32 + the
 * prefix. */
struct topolb_source_range {
	__u32 prefix_bits;
	__u32 service_id;
	struct topolb_address address;
};
TOPOLB_ASSERT(sizeof(struct topolb_source_range) == 24);

#endif
