/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow table of the per-packet path: how flows are found and changed, for BPF and C++ alike.
 *
 *   flow_index[line].slots[way]    -> flows[line * 16 + way]: by the packets of the client
 *   flow_replies[line].slots[way]  -> flows[id]:              by the packets of the backend
 *
 * A flow is one row. Its key (what a client's packet has) is hashed to two lines of flow_index; it
 * stands in a slot of the first one, or of the emptier one once the first fills up: so no new flow
 * finds both full while the table has the room that it promises. The slot holds a tag from the
 * hash, its place says which row. The same goes for the key of the replies in flow_replies, whose
 * slots hold the row's id and a tag. So a packet is found with one line and one row, and nothing is
 * allocated.
 *
 * Who writes a row owns its slot of flow_index: it is taken by compare-and-swap, from
 * TOPOLB_FLOW_SLOT_FREE by who opens a flow, from the tag by who removes one, to
 * TOPOLB_FLOW_SLOT_TAKEN; and given up by the last store. `generation` is odd meanwhile, and
 * another number ever after: who has read a row sees whether it was one flow's all the time.
 * Only the fields of the last two cache lines' second half change while a flow lives; `state`
 * changes by atomic operations.
 */
#ifndef TOPOLB_FLOW_TABLE_H
#define TOPOLB_FLOW_TABLE_H

#include "layout.h"

#define TOPOLB_FLOW_WAYS 16
/* Slots of its first line that a new flow leaves to others, if its other line is emptier. */
#define TOPOLB_FLOW_RESERVED_WAYS 6
/* The last slot of a line of flow_replies: whether a key of this line stands in its other one. */
#define TOPOLB_FLOW_REPLY_WAYS (TOPOLB_FLOW_WAYS - 1)

enum {
	TOPOLB_FLOW_SLOT_FREE = 0,
	TOPOLB_FLOW_SLOT_TAKEN = 1, /* a row that is being written; tags are greater */
};

struct topolb_flow_line {
	__u32 slots[TOPOLB_FLOW_WAYS];
};
TOPOLB_ASSERT(sizeof(struct topolb_flow_line) == 64);

/* flow_facts: array with one row: what the programs have as constants; written once. */
struct topolb_flow_facts {
	__u64 seed; /* of the hash: from outside nobody can aim at a line */
	__u32 lines;
	__u32 reply_lines;
	__u32 id_bits; /* of a slot of flow_replies; the rest is the tag */
	__u32 pad;
};
TOPOLB_ASSERT(sizeof(struct topolb_flow_facts) == 24);

/* Where a key may stand. */
struct topolb_flow_place {
	__u32 lines[2];
	__u32 tag;
};

static inline __u64 topolb_flow_mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9fb21c651e98df25ULL;
	return hash ^ hash >> 32;
}

/* Of the key that these make; field by field, so that nobody has to put one together. */
static inline __u64 topolb_flow_hash(const struct topolb_address *source,
				     const struct topolb_address *destination,
				     __be16 source_port_be, __be16 destination_port_be,
				     __u8 protocol, __u64 seed)
{
	const __u32 *from = (const __u32 *)source, *to = (const __u32 *)destination;
	__u64 hash = seed;

	/* The addresses of IPv4 differ in the last four bytes only. */
	if (from[0] | from[1] | to[0] | to[1]) {
		hash = topolb_flow_mix(hash, (__u64)from[0] << 32 | from[1]);
		hash = topolb_flow_mix(hash, (__u64)from[2] << 32 | to[0]);
		hash = topolb_flow_mix(hash, (__u64)to[1] << 32 | to[2]);
	}
	hash = topolb_flow_mix(hash, (__u64)from[3] << 32 | to[3]);
	hash = topolb_flow_mix(hash, (__u64)protocol << 32 | (__u32)source_port_be << 16 |
					     destination_port_be);
	return topolb_flow_mix(hash, 0);
}

static inline __u64 topolb_flow_key_hash(const struct topolb_flow_key *key, __u64 seed)
{
	return topolb_flow_hash(&key->source, &key->destination, key->source_port_be,
				key->destination_port_be, key->protocol, seed);
}

static inline __u32 topolb_flow_line_of(__u32 hash, __u32 lines)
{
	return (__u32)(((__u64)hash * lines) >> 32);
}

static inline struct topolb_flow_place topolb_flow_place_of(__u64 hash, __u32 lines)
{
	__u32 low = (__u32)hash, high = (__u32)(hash >> 32);
	/* Neither line tells anything of the tag: who share a line seldom share that, too. */
	struct topolb_flow_place place = {{topolb_flow_line_of(low, lines),
					   topolb_flow_line_of((low + high) * 0x9e3779b1U, lines)},
					  high | 2};

	return place;
}

/* The same for a key of replies. A slot holds as many bits of the tag as fit beside an id. */
static inline struct topolb_flow_place topolb_flow_reply_place_of(__u64 hash, __u32 lines,
								  __u32 id_bits)
{
	struct topolb_flow_place place = topolb_flow_place_of(hash, lines);

	place.tag &= (1U << (32 - id_bits)) - 1;
	if (!place.tag) /* that of a free slot */
		place.tag = 1;
	return place;
}

/* The slot of flow_replies that names a row: never 0, as ids count from 1 in it. */
static inline __u32 topolb_flow_reply_slot(__u32 tag, __u32 flow_id, __u32 id_bits)
{
	return (tag << id_bits) | (flow_id + 1);
}

/* Time in units of 134 ms, in 32 bits for 18 years. */
static inline __u32 topolb_flow_time(__u64 monotonic_ns)
{
	return (__u32)(monotonic_ns >> 27);
}

static inline __u64 topolb_flow_seconds(__u32 time)
{
	return ((__u64)time << 27) / 1000000000ULL;
}

#endif
