/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every fixed number that BPF programs and userspace must agree on, once.
 * Table sizes are defaults: the agent may set others before load (see
 * docs/limits.md for bytes per entry).
 */
#ifndef TOPOLB_LIMITS_H
#define TOPOLB_LIMITS_H

/* The layout of layout.h. An agent that finds pins of another version builds
 * the new state beside the old one and switches the programs by link update. */
#define TOPOLB_LAYOUT_VERSION 8

/* design.md 3.2: at most 16 topology keys. Each can appear twice in the kernel:
 * once with its ready, once with its serving-terminating backends. */
#define TOPOLB_MAX_TOPOLOGY_KEYS 16
#define TOPOLB_MAX_TIERS (2 * TOPOLB_MAX_TOPOLOGY_KEYS)

/* A row of the frontends table is half a cache line; a search reads at most so many lines. */
#define TOPOLB_FRONTENDS_PER_LINE 2
#define TOPOLB_FRONTEND_PROBES 64

/* A set is a chain of cache lines: a tier each, with the ids of its backends if they are no more
 * than this. Most Services need one. */
#define TOPOLB_SLOTS_PER_SET 10

/* A slot line is one cache line of backend ids. */
#define TOPOLB_SLOTS_PER_LINE 16

/* The most that a binary search in a tier takes, however large that is. */
#define TOPOLB_MAX_SEARCH_STEPS 32

/* Random probes for a usable backend before the tier is walked from end to end. */
#define TOPOLB_RANDOM_PROBES 4

/* The sockets of a line of peers are one cache line, with a word beside them. */
#define TOPOLB_PEERS_PER_LINE 7

/* Frontends that one unconnected UDP socket is remembered to talk to at a time
 * (musl's resolver uses three on one socket). A power of two. */
#define TOPOLB_PEERS_PER_UDP_SOCKET 4

/* Per-packet path: ports tried before a new flow that needs one of its own is refused. */
#define TOPOLB_PORT_PROBES 32
/* So many of them first where the replies are found near the client's packets; an odd number of
 * ports from one to the next, as clients take every other port. */
#define TOPOLB_NEAR_PORT_PROBES 4
#define TOPOLB_PORTS_BETWEEN 5

/* Addresses of the node that flows may be masqueraded with at a time. A power of two. */
#define TOPOLB_MASQUERADES 64
/* Devices that have an address of their own for that. */
#define TOPOLB_MASQUERADE_DEVICES 16

/* Routes that each CPU remembers. A power of two. */
#define TOPOLB_ROUTES 256

/* How exactly a flow's age is known: its entries are touched once in so many ticks of the
 * kernel, which are 0.25 to 2.5 seconds (CONFIG_HZ is 1000 to 100). */
#define TOPOLB_FLOW_TOUCH_TICKS 250

/* Seconds without a packet until a flow is over; kube-proxy's conntrack settings where it
 * has them (established, half closed), conntrack's defaults else. */
#define TOPOLB_FLOW_TCP_OPENING_S 60
#define TOPOLB_FLOW_TCP_ESTABLISHED_S 86400
#define TOPOLB_FLOW_TCP_HALF_CLOSED_S 3600
#define TOPOLB_FLOW_TCP_CLOSED_S 10
/* The client's FIN was seen; the backend's can't be. As IPVS has it. */
#define TOPOLB_FLOW_TCP_DIRECT_FIN_S 120
#define TOPOLB_FLOW_UDP_UNREPLIED_S 30
#define TOPOLB_FLOW_UDP_REPLIED_S 120

/* When there is no room, an established connection makes it only if it was idle for so long. */
#define TOPOLB_FLOW_EVICTABLE_S 600

/* Flows among which one is chosen to make room. A power of two. */
#define TOPOLB_FLOWS_JUDGED 32

/* Answers (TCP RST, ICMP errors) that one CPU sends. */
#define TOPOLB_REPLIES_PER_SECOND 1000
#define TOPOLB_REPLY_BURST 200

/* IPv6 extension headers that are followed to the transport header. */
#define TOPOLB_MAX_EXTENSION_HEADERS 6

/* Backends that one run of lb_gone is about. */
#define TOPOLB_MAX_GONE_BACKENDS 1024

#define TOPOLB_NAME_TEXT_LENGTH 52     /* of a row; "default/web/http" needs one */
#define TOPOLB_MAX_NAME_ROWS 4	       /* three DNS labels (63) and two slashes */
#define TOPOLB_TOPOLOGY_KEY_LENGTH 320 /* prefix (253), "/", name (63), NUL, padding */

/* Default limits of the maps that grow with the cluster and with traffic. */
#define TOPOLB_MAX_FRONTENDS 1048576
#define TOPOLB_MAX_SERVICES 524288
#define TOPOLB_MAX_SETS 1048576
#define TOPOLB_MAX_SLOT_LINES 1048576
#define TOPOLB_MAX_BACKENDS 2097152
#define TOPOLB_MAX_COUNTERS 1048576
#define TOPOLB_MAX_AFFINITIES 65536
#define TOPOLB_MAX_FLOWS 65536

/* Default max_entries of all others; hashes without preallocation, but fragments. */
#define TOPOLB_FIRST_FLOWS 2048 /* until there are more */
#define TOPOLB_DEFAULT_SOCKETS 4096
#define TOPOLB_MAX_TOPOLOGY_KEYS_IN_USE 1024
#define TOPOLB_MAX_NODE_ADDRESSES 1024
#define TOPOLB_MAX_SOURCE_RANGES 16384
#define TOPOLB_DEFAULT_FRAGMENTS 1024

#endif
