/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which frontend and backend a connected socket has, or an unconnected UDP socket that
 * has sent to one frontend. Shared by the hooks and by whatever else is handed a socket by
 * the kernel.
 *
 * The row lies in `peers`, under the address of the socket, and is given back when the
 * socket is closed; a socket whose line is full has it in the storage `sockets`, which
 * costs an allocation (docs/decisions/0031-peers-in-a-table-of-our-own.md).
 *
 * A row is its socket's until inet_release(); only sockets that the kernel itself opened
 * are closed without. Whoever gets the memory of one next, gives its row back or takes
 * it over the first time that it connects or closes.
 */
#ifndef TOPOLB_LB_PEERS_BPF_H
#define TOPOLB_LB_PEERS_BPF_H

#include "constants.bpf.h"
#include "lb_maps.bpf.h"

/* The verifier lets a copy of half a pointer be computed with, but not the pointer. */
static __always_inline __u32 low_half(const void *pointer)
{
	__u32 half;

	asm("%0 = %1" : "=w"(half) : "w"((__u32)(__u64)pointer));
	return half;
}

static __always_inline struct topolb_peer_line *peer_line_of(const void *socket)
{
	__u32 hash = low_half(socket) * 0x9e3779b1U; /* the golden ratio */
	__u32 line_id = ((__u64)hash * peer_lines()) >> 32;

	return bpf_map_lookup_elem(&peers, &line_id);
}

static __always_inline struct topolb_peer *peer_in_line(struct topolb_peer_line *line,
							const void *socket)
{
	for (int way = 0; way < TOPOLB_PEERS_PER_LINE; way++) {
		if (line->sockets[way] == (__u64)socket)
			return &line->peers[way];
	}
	return NULL;
}

/* What was left of a socket by take_peer(); NULL: nothing. */
static __always_inline struct topolb_peer *peer_of_socket(void *socket)
{
	struct topolb_peer_line *line = peer_line_of(socket);
	struct topolb_peer *peer;

	if (!line)
		return NULL;
	peer = peer_in_line(line, socket);
	if (peer || !line->overflowed)
		return peer;
	return bpf_sk_storage_get(&sockets, socket, NULL, 0);
}

/* A row for a socket that has none, with whatever it had last; NULL: there is no room. */
static __always_inline struct topolb_peer *take_row(struct topolb_peer_line *line,
						    const void *socket)
{
	for (int way = 0; way < TOPOLB_PEERS_PER_LINE; way++) {
		if (!line->sockets[way] &&
		    !__sync_val_compare_and_swap(&line->sockets[way], 0, (__u64)socket))
			return &line->peers[way];
	}
	return NULL;
}

/* Memory for the peer of a socket, with the one that it has, if any; NULL: there is none. */
static __always_inline struct topolb_peer *take_peer(void *socket)
{
	struct topolb_peer_line *line = peer_line_of(socket);
	struct topolb_peer *peer;

	if (!line)
		return NULL;
	peer = peer_in_line(line, socket);
	if (!peer)
		peer = take_row(line, socket);
	if (peer)
		return peer;
	line->overflowed = 1;
	return bpf_sk_storage_get(&sockets, socket, NULL, BPF_SK_STORAGE_GET_F_CREATE);
}

/* Every one: two connect() at a time on a UDP socket may have taken two. */
static __always_inline void give_back_rows(struct topolb_peer_line *line, const void *socket)
{
	for (int way = 0; way < TOPOLB_PEERS_PER_LINE; way++) {
		if (line->sockets[way] == (__u64)socket)
			line->sockets[way] = 0;
	}
}

static __always_inline void forget_peer(void *socket)
{
	struct topolb_peer_line *line = peer_line_of(socket);

	if (!line)
		return;
	give_back_rows(line, socket);
	if (line->overflowed)
		bpf_sk_storage_delete(&sockets, socket);
}

#endif
