/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow table of the per-packet path: how flows are found and changed, for BPF and C++ alike.
 *
 *   flow_rows[id / 512]          which rows of flows are taken, a bit each
 *   flow_index[line].slots[way]  -> flows[id]: by the packets of the client, or of the backend
 *
 * A flow is one row. Rows are taken in order, by each CPU from where it took the last one: flows
 * that begin one after another lie side by side, and share pages.
 *
 * Each of a flow's two keys (what a packet of the client has, and one of the backend) has two lines
 * of flow_index; in a large one the first is a step on with each port of the client
 * (docs/decisions/0049). It stands in a slot of the first one, or, if that is full or has another
 * key with the same tag, of the second one; then the first has a mark, for good. Replies to a port
 * that a program chose stand mostly in the line of the client's key (0052). The
 * slot holds the row's id and a tag from the hash. So a packet is found with one line and one row,
 * and nothing is allocated. At most five of fifteen slots are taken on average: both lines of a key
 * are full, or have its tag, once in ten million times (of 65,536 flows; of 16 million the tag has
 * seven bits, and once in 600).
 *
 * Who sets a row's bit owns the row, until it is in the index; then who makes its generation odd,
 * by compare-and-swap, does, and gives it up by clearing the bit. `generation` is odd while a row
 * is written or free, 0 if it never was used, and another number whenever the row changes hands:
 * who has read a row sees whether it was one flow's all the time. While a flow lives only `state`
 * changes, by atomic operations, and what is in the second of the row's two cache lines.
 */
#ifndef TOPOLB_FLOW_TABLE_H
#define TOPOLB_FLOW_TABLE_H

#include "layout.h"

/* Slots of a line; the word after them is the mark that a key of this line stands in its other. */
#define TOPOLB_FLOW_WAYS 15
/* So many of them for keys whose port can be chosen: the rest is for those that must stand there.
 */
#define TOPOLB_FLOW_WAYS_OF_CHOICE 10
#define TOPOLB_FLOW_SLOT_FREE 0

struct topolb_flow_line {
	__u32 slots[TOPOLB_FLOW_WAYS];
	__u32 is_overflowed;
};
TOPOLB_ASSERT(sizeof(struct topolb_flow_line) == 64);

/* Only an index of so many lines takes steps (54,784 to 655,360 flows): in a smaller one more than
 * three ports of a client would stand in one line, and it fits a CPU's cache; in a larger one the
 * next port of a client is in another page anyway. */
#define TOPOLB_FLOW_FEWEST_LINES_WITH_STEPS (65536 / 3 + 1)
#define TOPOLB_FLOW_MOST_LINES_WITH_STEPS 262145
/* The least step that the place of a key takes with each port: 26,510 of them go once around the
 * index, nearly as many as there are to masquerade with. It is the golden ratio times 2^18: ports
 * that differ by a power of two are not neighbours. */
#define TOPOLB_FLOW_LEAST_PORT_STEP (0x9e3779b1U >> 14)

#define TOPOLB_FLOW_ROWS_PER_WORD 64
#define TOPOLB_FLOW_ROW_WORDS 8
#define TOPOLB_FLOW_ROWS_PER_LINE (TOPOLB_FLOW_ROW_WORDS * TOPOLB_FLOW_ROWS_PER_WORD)

/* flow_rows: array: which of so many rows are taken. */
struct topolb_flow_rows {
	__u64 taken[TOPOLB_FLOW_ROW_WORDS];
};
TOPOLB_ASSERT(sizeof(struct topolb_flow_rows) == 64);

/* flow_cursors: per-CPU array with one row: where this CPU goes on. */
struct topolb_flow_cursor {
	__u32 row_line;	 /* of flow_rows, counted from its own first: where it looks for a free row
			  */
	__u32 full_tick; /* jiffies when it found none, or 0 */
	__u32 hand;	 /* the first row that it judges when one is to be evicted; likewise */
};
TOPOLB_ASSERT(sizeof(struct topolb_flow_cursor) == 12);

/*
 * recent_flows: per-CPU array with one row: a cache of the index, by a hash that takes a third of
 * the time. An entry is a slot with a tag of that hash; whoever uses one compares the key, as with
 * a slot of the index. The hash has no seed: keys that collide, by chance or on purpose,
 * take the index in turns.
 */
#define TOPOLB_RECENT_FLOWS_SHIFT (64 - 11)
struct topolb_recent_flows {
	__u32 slots[1 << (64 - TOPOLB_RECENT_FLOWS_SHIFT)];
};
TOPOLB_ASSERT(sizeof(struct topolb_recent_flows) == 8192);

/* Of what IPv4's keys differ in but the protocol, and most of IPv6's. The upper bits are the entry.
 */
static inline __u64 topolb_recent_hash(const struct topolb_flow_key *key)
{
	const __u32 *from = (const __u32 *)&key->source, *to = (const __u32 *)&key->destination;
	__u32 ports = (__u32)key->source_port_be << 16 | key->destination_port_be;

	return (((__u64)ports << 32 | from[3]) ^ (__u64)to[3] << 16) * 0x9e3779b97f4a7c15ULL;
}

static inline __u32 topolb_recent_tag(__u64 hash, __u32 id_bits)
{
	return (__u32)(hash >> (TOPOLB_RECENT_FLOWS_SHIFT - 32)) >> id_bits;
}

/* flow_facts: array with one row: what the programs have as constants; written once. */
struct topolb_flow_facts {
	__u64 seed;	 /* of the hash: from outside nobody can aim at another's line */
	__u32 row_lines; /* of flow_rows */
	__u32 lines;	 /* of flow_index */
	__u32 id_bits;	 /* of a slot; the rest is the tag */
	__u32 layout_version;
	/* The low half of frontend_seed: whose backends the ids in rows are. */
	__u32 maps;
	__u32 port_step; /* of topolb_flow_hash(); 0: it takes none */
};
TOPOLB_ASSERT(sizeof(struct topolb_flow_facts) == 32);

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

/*
 * Of all of a key but the client's port: the source of its packets, or the destination of replies.
 * `service_port_be`: the destination port of its packets, or the source port of replies. Replies
 * have another seed: a key of either kind that looks like one of the other has other lines.
 */
static inline __u64 topolb_flow_base(const struct topolb_address *source,
				     const struct topolb_address *destination,
				     __be16 service_port_be, __u8 protocol, __u64 seed)
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
	hash = topolb_flow_mix(hash, (__u64)protocol << 32 | service_port_be);
	return topolb_flow_mix(hash, 0); /* places must not tell how keys differ */
}

static inline __u64 topolb_flow_replys_seed(__u64 seed)
{
	return ~seed;
}

/*
 * Of a key. In a large table the low half, which the first line goes by, takes a step with each
 * port of the client, to one of the next lines: the flows of a client that dials a frontend again
 * and again, whose ports ascend, share pages, and whoever chooses the port that a backend sees
 * chooses the line of the replies.
 */
static inline __u64 topolb_flow_hash(__u64 base, __u16 client_port, __u32 port_step)
{
	__u64 hash = topolb_flow_mix(base, client_port);

	if (!port_step)
		return hash;
	return (hash & ~0xffffffffULL) | (__u32)((__u32)base + client_port * port_step);
}

static inline __u32 topolb_flow_line_of(__u32 hash, __u32 lines)
{
	return (__u32)(((__u64)hash * lines) >> 32);
}

/* The step of an index: a line, so that each port's key stands in a line of its own; where lines
 * are more than the least step goes around by, that one. */
static inline __u32 topolb_flow_port_step(__u32 lines)
{
	__u32 line;

	if (lines < TOPOLB_FLOW_FEWEST_LINES_WITH_STEPS ||
	    lines > TOPOLB_FLOW_MOST_LINES_WITH_STEPS)
		return 0;
	line = 0xffffffffU / lines + 1;
	return line > TOPOLB_FLOW_LEAST_PORT_STEP ? line : TOPOLB_FLOW_LEAST_PORT_STEP;
}

/* The port, of a round around the index from `first` on, by which a key with this base stands in
 * the first line of `hash`; with the least step, within a step before it. It may be beyond the last
 * port. The ports of keys whose ports ascend ascend alike. */
static inline __u32 topolb_flow_port_near(__u64 hash, __u64 base, __u32 first, __u32 port_step,
					  __u32 lines)
{
	__u32 port = first + ((__u32)hash - (__u32)base - first * port_step) / port_step;
	__u32 place = (__u32)base + port * port_step;

	/* Its steps and the lines, also those of a table made by an older agent, drift apart: it
	 * would be this port and the next in turns, and one of them twice in a row now and then. */
	if (port_step == TOPOLB_FLOW_LEAST_PORT_STEP)
		return port;
	return port +
	       (topolb_flow_line_of(place, lines) != topolb_flow_line_of((__u32)hash, lines));
}

/* A slot holds as many bits of the hash as fit beside an id. */
static inline struct topolb_flow_place topolb_flow_place_of(__u64 hash, __u32 lines, __u32 id_bits)
{
	__u32 low = (__u32)hash, high = (__u32)(hash >> 32);
	/* Neither line tells anything of the tag: who share a line seldom share that, too. */
	struct topolb_flow_place place = {{topolb_flow_line_of(low, lines),
					   topolb_flow_line_of((low + high) * 0x9e3779b1U, lines)},
					  high >> id_bits};

	if (place.lines[1] == place.lines[0])
		place.lines[1] = place.lines[0] ? place.lines[0] - 1 : lines - 1;
	if (!place.tag) /* that of a free slot */
		place.tag = 1;
	return place;
}

/* The slot that names a row: never 0, as ids count from 1 in it. */
static inline __u32 topolb_flow_slot(__u32 tag, __u32 flow_id, __u32 id_bits)
{
	return (tag << id_bits) | (flow_id + 1);
}

static inline __u32 topolb_flow_id_in(__u32 slot, __u32 id_bits)
{
	return (slot & ((1U << id_bits) - 1)) - 1;
}

/* The word of a row that the generation is the upper half of: for compare-and-swap, of which there
 * is none for 16 bits. All of our machines have the lower half first. */
#define TOPOLB_FLOW_GENERATION_SHIFT 16
static inline __u32 *topolb_flow_generation_word(struct topolb_flow *flow)
{
	return (__u32 *)(void *)&flow->protocol;
}
TOPOLB_ASSERT_OFFSET(topolb_flow, protocol, 60);
TOPOLB_ASSERT(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

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
