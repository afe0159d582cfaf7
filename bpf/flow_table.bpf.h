/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Inserting and removing flows (maps/flow_table.h). Knows nothing of packets beyond their keys, nor
 * of what a flow is for.
 *
 * Any number of CPUs and the agent's collector work on the table at once, without locks.
 */
#ifndef TOPOLB_FLOW_TABLE_BPF_H
#define TOPOLB_FLOW_TABLE_BPF_H

#include "flow_find.bpf.h"
#include "lb_select.bpf.h"

static __always_inline void clear_slot(__u32 line_id, __u32 slot)
{
	struct topolb_flow_line *line = bpf_map_lookup_elem(&flow_index, &line_id);

	if (!line)
		return;
	for (int way = 0; way < TOPOLB_FLOW_WAYS; way++)
		if (line->slots[way] == slot)
			__sync_val_compare_and_swap(&line->slots[way], slot, TOPOLB_FLOW_SLOT_FREE);
}

/* Takes a flow out of the index, where it stands by the hash of a key. */
static __noinline void drop_slot(__u64 hash, __u32 flow_id)
{
	struct topolb_flow_place place = place_of(hash);
	__u32 slot = topolb_flow_slot(place.tag, flow_id, flow_id_bits());

	clear_slot(place.lines[0], slot);
	clear_slot(place.lines[1], slot);
}

/* Makes the generation of a flow that was met at `generation` odd: its row is the caller's. 0:
 * somebody else has done so. */
static __always_inline int take_flow(struct topolb_flow *flow, __u32 generation)
{
	__u32 *word = topolb_flow_generation_word(flow), before = READ_ONCE(*word);

	return !(generation & 1) && before >> TOPOLB_FLOW_GENERATION_SHIFT == generation &&
	       __sync_val_compare_and_swap(word, before,
					   before | 1U << TOPOLB_FLOW_GENERATION_SHIFT) == before;
}

/* Takes a flow that was met at `generation` out of the table. 0: it is gone already. Its row is the
 * caller's. */
__noinline int topolb_take_out(__u32 flow_id, __u32 generation,
			       const struct topolb_settings *config)
{
	struct topolb_flow *flow = flow_of(flow_id);

	if (!flow || !config || !take_flow(flow, generation))
		return 0;
	drop_slot(clients_hash(flow), flow_id);
	if (!(flow->state & TOPOLB_FLOW_DIRECT))
		drop_slot(reply_hash(flow, config), flow_id);
	return 1;
}

static __always_inline int remove_flow(__u32 flow_id, __u32 generation,
				       const struct topolb_settings *config)
{
	if (!topolb_take_out(flow_id, generation, config))
		return 0;
	free_row(flow_id);
	return 1;
}

static __always_inline int is_idle_for(const struct topolb_flow *flow, __u32 now, __u64 seconds)
{
	/* Another CPU may have touched it a tick later. */
	__s32 idle = now - flow->touched;

	return idle > 0 && (__u64)idle << 27 > seconds * NSEC_PER_SEC;
}

static __always_inline int is_idle_too_long(const struct topolb_flow *flow, __u32 now)
{
	return is_idle_for(flow, now, topolb_flow_timeout_s(flow->protocol, flow->state));
}

#define OVER (3U << 30)
#define UNREPLIED (1U << 30)

/*
 * How soon a flow may make room for another, when the table is full: 0: not at all. What is over
 * goes first, then what never had a reply or had a RST, then datagrams, which find another backend,
 * and what is idle for long; the older ones first.
 */
static __always_inline __u32 evictability(const struct topolb_flow *flow, __u32 now)
{
	__u32 idle = now - flow->touched;

	if ((__s32)idle < 0)
		idle = 0;
	if (idle > 0xfffffff)
		idle = 0xfffffff;
	if (is_idle_too_long(flow, now) || (flow->state & TOPOLB_FLOW_CLOSED) == TOPOLB_FLOW_CLOSED)
		return OVER | idle;
	if (!(flow->state & TOPOLB_FLOW_REPLIED) || flow->state & TOPOLB_FLOW_RESET)
		return UNREPLIED | idle;
	if (flow->protocol != IPPROTO_TCP)
		return 1 + idle;
	return is_idle_for(flow, now, TOPOLB_FLOW_EVICTABLE_S) ? 1 + idle : 0;
}

struct victim {
	__u32 first;
	__u32 now;
	__u32 value; /* evictability() of the best one so far; 0: none */
	__u32 flow_id;
	__u32 generation;
};

static long judge_row(__u32 step, void *data)
{
	struct victim *best = data;
	__u32 rows = flow_row_lines() * TOPOLB_FLOW_ROWS_PER_LINE;
	__u32 flow_id = best->first + step * (rows / TOPOLB_FLOWS_JUDGED), value;
	struct topolb_flow *flow;
	__u32 generation;

	if (flow_id >= rows)
		flow_id -= rows;
	flow = flow_of(flow_id);

	if (!flow)
		return 0;
	generation = READ_ONCE(flow->generation);
	if (!generation || generation & 1) /* it comes or goes */
		return 0;
	value = evictability(flow, best->now);
	if (value > best->value) {
		best->value = value;
		best->flow_id = flow_id;
		best->generation = generation;
	}
	return 0;
}

/*
 * Makes room when all rows are taken: takes the flow that can best be done without out of the
 * table, of TOPOLB_FLOWS_JUDGED from all over it: those that began together lie side by side. Its
 * row is the caller's. NO_ROOM: all of them are needed.
 */
__noinline __u32 topolb_evict(const struct topolb_settings *config)
{
	struct victim victim = {.now = topolb_flow_time(bpf_ktime_get_coarse_ns())};
	__u32 rows = flow_row_lines() * TOPOLB_FLOW_ROWS_PER_LINE;
	struct topolb_flow_cursor *cursor = read_cursor();

	if (!config || !cursor)
		return NO_ROOM;
	victim.first = (own_first(rows) + cursor->hand++) % rows;
	bpf_loop(TOPOLB_FLOWS_JUDGED, judge_row, &victim, 0);
	if (!victim.value || !topolb_take_out(victim.flow_id, victim.generation, config))
		return NO_ROOM;
	if (victim.value < OVER)
		count_event(TOPOLB_EVENT_FLOW_EVICTED);
	return victim.flow_id;
}

static __noinline __u32 find_slot_in(__u32 line_id, __u32 tag)
{
	const struct topolb_flow_line *line = bpf_map_lookup_elem(&flow_index, &line_id);

	return line ? find_slot_of(line, tag) : TOPOLB_FLOW_SLOT_FREE;
}

#define LINE_IS_FULL 0xffffffff

/* Puts a slot into one of the first `ways` of a line, unless it has the tag. 0: it is there; else
 * what has the tag, or LINE_IS_FULL. */
static __always_inline __u32 put_slot(struct topolb_flow_line *line, __u32 slot, __u32 ways)
{
	__u32 first_free = TOPOLB_FLOW_WAYS, id_bits = flow_id_bits();

#pragma unroll
	for (__u32 way = 0; way < TOPOLB_FLOW_WAYS; way++) {
		__u32 other = line->slots[way];

		if ((other ^ slot) >> id_bits == 0)
			return other;
		if (!other && first_free == TOPOLB_FLOW_WAYS)
			first_free = way;
	}
	/* The second bound is for the verifier. */
	for (__u32 way = first_free; way < ways && way < TOPOLB_FLOW_WAYS; way++) {
		if (line->slots[way] == TOPOLB_FLOW_SLOT_FREE &&
		    __sync_val_compare_and_swap(&line->slots[way], TOPOLB_FLOW_SLOT_FREE, slot) ==
			    TOPOLB_FLOW_SLOT_FREE)
			return 0;
	}
	return LINE_IS_FULL;
}

/* Whether a line that a slot was put into has its tag twice now. */
static __always_inline int is_tag_twice(const struct topolb_flow_line *line, __u32 slot)
{
	__u32 id_bits = flow_id_bits();

#pragma unroll
	for (__u32 way = 0; way < TOPOLB_FLOW_WAYS; way++)
		if ((line->slots[way] ^ slot) >> id_bits == 0 && line->slots[way] != slot)
			return 1;
	return 0;
}

/* Puts a slot into its second line, as the first is full or has the tag in `other`. 0: it is there,
 * and nobody has changed that meanwhile. */
static __noinline int put_into_second(__u32 first_id, __u32 second_id, __u32 slot, __u32 other)
{
	struct topolb_flow_line *first = bpf_map_lookup_elem(&flow_index, &first_id);
	struct topolb_flow_line *second = bpf_map_lookup_elem(&flow_index, &second_id);

	if (!first || !second)
		return -1;
	first->is_overflowed = 1;
	if (put_slot(second, slot, TOPOLB_FLOW_WAYS))
		return -1;
	return find_slot_of(first, slot >> flow_id_bits()) == other && !is_tag_twice(second, slot)
		       ? 0
		       : -1;
}

static __always_inline int has_same_clients_key(const struct topolb_flow *a,
						const struct topolb_flow *b)
{
	return same_address(&a->client, &b->client) && same_address(&a->frontend, &b->frontend) &&
	       a->client_port_be == b->client_port_be &&
	       a->frontend_port_be == b->frontend_port_be && a->protocol == b->protocol;
}

static __always_inline int has_same_reply(const struct topolb_flow *a, const struct topolb_flow *b,
					  const struct topolb_settings *config)
{
	return same_address(&a->backend, &b->backend) && a->backend_port_be == b->backend_port_be &&
	       a->source_port_be == b->source_port_be && a->protocol == b->protocol &&
	       same_address(address_seen_by_backend(a, config), address_seen_by_backend(b, config));
}

/* Of another flow: one flow's own keys may stand in one line with one tag. Either is found by
 * either slot then. */
static __noinline int has_same_key(__u32 flow_id, __u32 other_id, int is_reply,
				   const struct topolb_settings *config)
{
	const struct topolb_flow *flow = flow_of(flow_id), *other = flow_of(other_id);

	if (!flow || !other || flow_id == other_id)
		return 0;
	return is_reply ? has_same_reply(flow, other, config) : has_same_clients_key(flow, other);
}

/* Whether a key's second line has the key, too. */
static __always_inline int is_in_second(__u32 line_id, __u32 flow_id, __u32 tag, int is_reply,
					const struct topolb_settings *config)
{
	__u32 other = find_slot_in(line_id, tag);

	return other && has_same_key(flow_id, id_in(other), is_reply, config);
}

enum {
	KEY_OF_CLIENT,
	KEY_OF_REPLY,
	KEY_OF_CHOICE, /* of a reply; any other port does as well */
};

/*
 * Makes a flow found by the key that has the hash. -1: another flow has the key, or, once in ten
 * million times, both lines are full or have the tag; a KEY_OF_CHOICE is not added if the first
 * line has the tag, or its first TOPOLB_FLOW_WAYS_OF_CHOICE slots are taken. Where two CPUs add the
 * same key, each looks after it has, and who finds another takes its own back.
 */
__noinline int topolb_add_slot(__u64 hash, __u32 flow_id, int kind,
			       const struct topolb_settings *config)
{
	struct topolb_flow_place place = place_of(hash);
	__u32 slot = topolb_flow_slot(place.tag, flow_id, flow_id_bits()), other;
	struct topolb_flow_line *line = bpf_map_lookup_elem(&flow_index, &place.lines[0]);
	int by_reply = kind != KEY_OF_CLIENT;

	if (!config || !line)
		return -1;
	other = put_slot(line, slot,
			 kind == KEY_OF_CHOICE ? TOPOLB_FLOW_WAYS_OF_CHOICE : TOPOLB_FLOW_WAYS);
	if (!other) {
		if (!is_tag_twice(line, slot) &&
		    (!line->is_overflowed ||
		     !is_in_second(place.lines[1], flow_id, place.tag, by_reply, config)))
			return 0;
	} else {
		if (kind == KEY_OF_CHOICE)
			return -1;
		if (other == LINE_IS_FULL)
			other = 0;
		else if (has_same_key(flow_id, id_in(other), by_reply, config))
			return -1;
		if (!put_into_second(place.lines[0], place.lines[1], slot, other))
			return 0;
	}
	drop_slot(hash, flow_id);
	return -1;
}

#endif
