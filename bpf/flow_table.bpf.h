/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Finding, inserting and removing flows (maps/flow_table.h). Knows nothing of packets beyond their
 * keys, nor of what a flow is for.
 *
 * Any number of CPUs and the agent's collector work on the table at once, without locks. Where two
 * insert the same key, each looks once more after its insertion, and who finds another takes its
 * own back.
 */
#ifndef TOPOLB_FLOW_TABLE_BPF_H
#define TOPOLB_FLOW_TABLE_BPF_H

#include "lb_address.bpf.h"
#include "lb_maps.bpf.h"
#include "lb_select.bpf.h"
#include "maps/flow_table.h"

#define READ_ONCE(field) (*(const volatile typeof(field) *)&(field))

/* struct topolb_flow_facts; the agent sets them before load. */
const volatile __u64 flow_seed = 1;
const volatile __u32 flow_lines = 16;
const volatile __u32 flow_reply_lines = 16;
const volatile __u32 flow_id_bits = 16;

/* In place of a flow's id. */
#define NO_FLOW 0xffffffff
#define NO_ROOM 0xfffffffe

struct found_flow {
	struct topolb_flow *flow; /* NULL: there is none */
	__u32 id;
	__u32 generation; /* as before the row was read */
};

static __always_inline struct topolb_flow *flow_of(__u32 flow_id)
{
	return bpf_map_lookup_elem(&flows, &flow_id);
}

static __always_inline __u32 *slot_of(__u32 flow_id)
{
	__u32 line_id = flow_id / TOPOLB_FLOW_WAYS;
	struct topolb_flow_line *line = bpf_map_lookup_elem(&flow_index, &line_id);

	return line ? &line->slots[flow_id % TOPOLB_FLOW_WAYS] : NULL;
}

static __always_inline int is_clients_key(const struct topolb_flow *flow,
					  const struct topolb_flow_key *key)
{
	return same_address(&flow->client, &key->source) &&
	       same_address(&flow->frontend, &key->destination) &&
	       flow->client_port_be == key->source_port_be &&
	       flow->frontend_port_be == key->destination_port_be &&
	       flow->protocol == key->protocol;
}

static __always_inline const struct topolb_address *
address_seen_by_backend(const struct topolb_flow *flow, const struct topolb_settings *config)
{
	if (!(flow->state & TOPOLB_FLOW_MASQUERADED))
		return &flow->client;
	return is_ipv4(&flow->client) ? &config->masquerade_ipv4 : &config->masquerade_ipv6;
}

static __always_inline int is_replys_key(const struct topolb_flow *flow,
					 const struct topolb_flow_key *key,
					 const struct topolb_settings *config)
{
	return same_address(&flow->backend, &key->source) &&
	       flow->backend_port_be == key->source_port_be &&
	       flow->source_port_be == key->destination_port_be &&
	       flow->protocol == key->protocol &&
	       same_address(address_seen_by_backend(flow, config), &key->destination);
}

/* Of the key of a flow's replies. */
static __always_inline __u64 reply_hash(const struct topolb_flow *flow,
					const struct topolb_settings *config)
{
	return topolb_flow_hash(&flow->backend, address_seen_by_backend(flow, config),
				flow->backend_port_be, flow->source_port_be, flow->protocol,
				flow_seed);
}

static __always_inline struct topolb_flow_place clients_place(const struct topolb_flow_key *key)
{
	return topolb_flow_place_of(topolb_flow_key_hash(key, flow_seed), flow_lines);
}

static __always_inline struct topolb_flow_place reply_place(__u64 hash)
{
	return topolb_flow_reply_place_of(hash, flow_reply_lines, flow_id_bits);
}

/* The way of the first slot with a tag; TOPOLB_FLOW_WAYS: none. */
static __always_inline __u32 find_way(const struct topolb_flow_line *line, __u32 tag)
{
#pragma unroll
	for (__u32 way = 0; way < TOPOLB_FLOW_WAYS; way++)
		if (line->slots[way] == tag)
			return way;
	return TOPOLB_FLOW_WAYS;
}

/* The first slot of a line of flow_replies with a tag; 0: none. */
static __always_inline __u32 find_reply_slot(const struct topolb_flow_line *line, __u32 tag)
{
#pragma unroll
	for (__u32 way = 0; way < TOPOLB_FLOW_REPLY_WAYS; way++) {
		__u32 slot = line->slots[way];

		if (slot >> flow_id_bits == tag)
			return slot;
	}
	return 0;
}

/* A flow by the key of its client's packets. */
static __always_inline struct found_flow find_clients_flow(const struct topolb_flow_key *key)
{
	struct found_flow found = {};
	struct topolb_flow_place place = clients_place(key);

#pragma unroll
	for (int choice = 0; choice < 2; choice++) {
		__u32 line_id = place.lines[choice];
		struct topolb_flow_line *line = bpf_map_lookup_elem(&flow_index, &line_id);
		struct topolb_flow *flow;
		__u32 way;

		if (!line)
			break;
		way = find_way(line, place.tag);
		if (way == TOPOLB_FLOW_WAYS)
			continue;
		found.id = line_id * TOPOLB_FLOW_WAYS + way;
		flow = flow_of(found.id);
		if (!flow)
			continue;
		found.generation = READ_ONCE(flow->generation);
		if (is_clients_key(flow, key)) {
			found.flow = flow;
			break;
		}
	}
	return found;
}

/* A flow by the key of its replies. */
static __always_inline struct found_flow find_replys_flow(const struct topolb_flow_key *key,
							  const struct topolb_settings *config)
{
	struct topolb_flow_place place = reply_place(topolb_flow_key_hash(key, flow_seed));
	struct found_flow found = {};

#pragma unroll
	for (int choice = 0; choice < 2; choice++) {
		__u32 line_id = place.lines[choice];
		struct topolb_flow_line *line = bpf_map_lookup_elem(&flow_replies, &line_id);
		struct topolb_flow *flow;
		__u32 slot;

		if (!line)
			break;
		slot = find_reply_slot(line, place.tag);
		if (slot) {
			found.id = (slot & ((1U << flow_id_bits) - 1)) - 1;
			flow = flow_of(found.id);
			if (flow) {
				found.generation = READ_ONCE(flow->generation);
				if (is_replys_key(flow, key, config)) {
					found.flow = flow;
					break;
				}
			}
		}
		if (!line->slots[TOPOLB_FLOW_REPLY_WAYS])
			break;
	}
	return found;
}

static __noinline __u32 reply_slot_in(__u32 line_id, __u32 tag)
{
	const struct topolb_flow_line *line = bpf_map_lookup_elem(&flow_replies, &line_id);

	return line ? find_reply_slot(line, tag) : 0;
}

/* The id of the first flow with the tag of a hash of its replies; NO_FLOW: none. (No loop: the
 * verifier of Linux 6.1 takes it for one without end.) */
static __noinline __u32 find_reply_id(__u64 hash)
{
	struct topolb_flow_place place = reply_place(hash);
	__u32 slot = reply_slot_in(place.lines[0], place.tag);

	if (!slot)
		slot = reply_slot_in(place.lines[1], place.tag);
	return slot ? (slot & ((1U << flow_id_bits) - 1)) - 1 : NO_FLOW;
}

static __noinline void clear_reply_slot(__u32 line_id, __u32 slot)
{
	struct topolb_flow_line *line = bpf_map_lookup_elem(&flow_replies, &line_id);

	if (!line)
		return;
	for (int way = 0; way < TOPOLB_FLOW_REPLY_WAYS; way++)
		if (line->slots[way] == slot)
			__sync_val_compare_and_swap(&line->slots[way], slot, TOPOLB_FLOW_SLOT_FREE);
}

/* Takes the slot of a flow's replies away. */
static __always_inline void drop_reply(__u64 hash, __u32 flow_id)
{
	struct topolb_flow_place place = reply_place(hash);
	__u32 slot = topolb_flow_reply_slot(place.tag, flow_id, flow_id_bits);

	clear_reply_slot(place.lines[0], slot);
	clear_reply_slot(place.lines[1], slot);
}

/* Takes a flow out of the table, so that its row and slot are the caller's. 0: somebody else has
 * done so. */
static __always_inline int take_flow(struct topolb_flow *flow, __u32 flow_id, __u32 generation,
				     __u32 *slot, const struct topolb_settings *config)
{
	__u32 tag = READ_ONCE(*slot);

	if (tag <= TOPOLB_FLOW_SLOT_TAKEN || READ_ONCE(flow->generation) != generation ||
	    __sync_val_compare_and_swap(slot, tag, TOPOLB_FLOW_SLOT_TAKEN) != tag)
		return 0;
	flow->generation |= 1;
	drop_reply(reply_hash(flow, config), flow_id);
	return 1;
}

/* Removes a flow that was met at `generation`. 0: it is gone already. */
__noinline int topolb_remove_flow(__u32 flow_id, __u32 generation,
				  const struct topolb_settings *config)
{
	struct topolb_flow *flow = flow_of(flow_id);
	__u32 *slot = slot_of(flow_id);

	if (!flow || !slot || !config || !take_flow(flow, flow_id, generation, slot, config))
		return 0;
	__sync_lock_test_and_set(slot, TOPOLB_FLOW_SLOT_FREE);
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
 * How soon a flow may make room for another, when its line is full: 0: not at all. What is over
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
	__u32 line_id;
	__u32 now;
	__u32 value; /* evictability() of the best one so far; 0: none */
	__u32 flow_id;
};

static long judge_way(__u32 way, void *data)
{
	struct victim *best = data;
	__u32 flow_id = best->line_id * TOPOLB_FLOW_WAYS + way;
	struct topolb_flow *flow = flow_of(flow_id);
	__u32 value;

	if (!flow || flow->generation & 1) /* it comes or goes */
		return 0;
	value = evictability(flow, best->now);
	if (value > best->value) {
		best->value = value;
		best->flow_id = flow_id;
	}
	return 0;
}

/* Makes room for a flow whose key found none: removes the flow of its two lines that can best be
 * done without. 0: all are needed. */
__noinline int topolb_make_room_for(const struct topolb_flow_key *key,
				    const struct topolb_settings *config)
{
	struct victim victim = {.now = topolb_flow_time(bpf_ktime_get_coarse_ns())};
	struct topolb_flow_place place;
	struct topolb_flow *flow;
	__u32 *slot;

	if (!key || !config)
		return 0;
	place = clients_place(key);
	victim.line_id = place.lines[0];
	bpf_loop(TOPOLB_FLOW_WAYS, judge_way, &victim, 0);
	victim.line_id = place.lines[1];
	bpf_loop(TOPOLB_FLOW_WAYS, judge_way, &victim, 0);
	flow = flow_of(victim.flow_id);
	slot = slot_of(victim.flow_id);
	if (!victim.value || !flow || !slot ||
	    !take_flow(flow, victim.flow_id, READ_ONCE(flow->generation), slot, config))
		return 0;
	__sync_lock_test_and_set(slot, TOPOLB_FLOW_SLOT_FREE);
	if (victim.value < OVER)
		count_event(TOPOLB_EVENT_FLOW_EVICTED);
	return 1;
}

__noinline __u32 topolb_take_free_slot(__u32 line_id)
{
	struct topolb_flow_line *line = bpf_map_lookup_elem(&flow_index, &line_id);

	if (!line)
		return TOPOLB_FLOW_WAYS;
	for (__u32 way = 0; way < TOPOLB_FLOW_WAYS; way++)
		if (line->slots[way] == TOPOLB_FLOW_SLOT_FREE &&
		    __sync_val_compare_and_swap(&line->slots[way], TOPOLB_FLOW_SLOT_FREE,
						TOPOLB_FLOW_SLOT_TAKEN) == TOPOLB_FLOW_SLOT_FREE)
			return way;
	return TOPOLB_FLOW_WAYS;
}

/* Adds whether two values are equal, without a branch for the verifier to follow. In order: the
 * compiler would load all slots first, and spill them. */
static __always_inline __u32 count_equal(__u32 count, __u32 a, __u32 b)
{
	__u32 difference = a ^ b;

	count += (~difference & (difference - 1)) >> 31;
	asm volatile("" : "+r"(count));
	return count;
}

/* Free slots of a line of flow_index. */
static __noinline __u32 count_free(__u32 line_id)
{
	struct topolb_flow_line *line = bpf_map_lookup_elem(&flow_index, &line_id);
	__u32 count = 0;

	if (!line)
		return 0;
#pragma unroll
	for (int way = 0; way < TOPOLB_FLOW_WAYS; way++)
		count = count_equal(count, line->slots[way], TOPOLB_FLOW_SLOT_FREE);
	return count;
}

/* A row for a new flow, its slot taken. Its id, or NO_ROOM. */
static __always_inline __u32 take_row(const struct topolb_flow_place *place)
{
	__u32 line_id = place->lines[0], other_line_id = place->lines[1], way;
	__u32 free = count_free(line_id);

	if (free <= TOPOLB_FLOW_RESERVED_WAYS && count_free(other_line_id) > free) {
		line_id = place->lines[1];
		other_line_id = place->lines[0];
	}
	way = topolb_take_free_slot(line_id);
	if (way == TOPOLB_FLOW_WAYS) { /* other CPUs were faster */
		line_id = other_line_id;
		way = topolb_take_free_slot(line_id);
	}
	return way == TOPOLB_FLOW_WAYS ? NO_ROOM : line_id * TOPOLB_FLOW_WAYS + way;
}

/* Whether a reply's key may be in one of its two lines: another slot than `own` has its tag. */
static __noinline int is_reply_there(__u32 line_id, __u32 other_line_id, __u32 tag, __u32 own)
{
	struct topolb_flow_line *line = bpf_map_lookup_elem(&flow_replies, &line_id);

	if (!line)
		return 0;
#pragma unroll
	for (int way = 0; way < TOPOLB_FLOW_REPLY_WAYS; way++)
		if (line->slots[way] >> flow_id_bits == tag && line->slots[way] != own)
			return 1;
	if (!line->slots[TOPOLB_FLOW_REPLY_WAYS] || line_id == other_line_id)
		return 0;
	line = bpf_map_lookup_elem(&flow_replies, &other_line_id);
	if (!line)
		return 0;
#pragma unroll
	for (int way = 0; way < TOPOLB_FLOW_REPLY_WAYS; way++)
		if (line->slots[way] >> flow_id_bits == tag && line->slots[way] != own)
			return 1;
	return 0;
}

/* Puts the slot into the line: whether it has room. */
static __noinline int take_reply_slot(__u32 line_id, __u32 slot)
{
	struct topolb_flow_line *line = bpf_map_lookup_elem(&flow_replies, &line_id);

	if (!line)
		return 0;
	for (int way = 0; way < TOPOLB_FLOW_REPLY_WAYS; way++) {
		if (line->slots[way] == TOPOLB_FLOW_SLOT_FREE &&
		    __sync_val_compare_and_swap(&line->slots[way], TOPOLB_FLOW_SLOT_FREE, slot) ==
			    TOPOLB_FLOW_SLOT_FREE)
			return 1;
	}
	return 0;
}

static __noinline void mark_reply_line_full(__u32 line_id)
{
	struct topolb_flow_line *line = bpf_map_lookup_elem(&flow_replies, &line_id);

	if (line)
		line->slots[TOPOLB_FLOW_REPLY_WAYS] = 1;
}

/* Makes the flow found by its replies, whose key has the hash. -1: another flow has the key, or
 * stands in the way of it. */
__noinline int topolb_add_reply(__u64 hash, __u32 flow_id)
{
	struct topolb_flow_place place = reply_place(hash);
	__u32 slot = topolb_flow_reply_slot(place.tag, flow_id, flow_id_bits);

	if (is_reply_there(place.lines[0], place.lines[1], place.tag, TOPOLB_FLOW_SLOT_FREE))
		return -1;
	if (!take_reply_slot(place.lines[0], slot)) {
		mark_reply_line_full(place.lines[0]);
		if (!take_reply_slot(place.lines[1], slot))
			return -1;
	}
	if (!is_reply_there(place.lines[0], place.lines[1], place.tag, slot))
		return 0;
	drop_reply(hash, flow_id); /* another CPU did the same */
	return -1;
}

/* Whether a line has a key's tag in another way than `own`. */
static __noinline int is_key_there(__u32 line_id, __u32 tag, __u32 own)
{
	struct topolb_flow_line *line = bpf_map_lookup_elem(&flow_index, &line_id);

	if (!line)
		return 0;
#pragma unroll
	for (__u32 way = 0; way < TOPOLB_FLOW_WAYS; way++)
		if (line->slots[way] == tag && way != own)
			return 1;
	return 0;
}

/* Whether no flow but this one has its key. */
static __always_inline int is_only_one(const struct topolb_flow_place *place, __u32 flow_id)
{
	__u32 line_id = flow_id / TOPOLB_FLOW_WAYS;
	__u32 other = place->lines[0] ^ place->lines[1] ^ line_id;

	return !is_key_there(line_id, place->tag, flow_id % TOPOLB_FLOW_WAYS) &&
	       (other == line_id || !is_key_there(other, place->tag, TOPOLB_FLOW_WAYS));
}

#endif
