/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Finding flows by the keys of packets (maps/flow_table.h). Reads the table, writes recent_flows.
 */
#ifndef TOPOLB_FLOW_FIND_BPF_H
#define TOPOLB_FLOW_FIND_BPF_H

#include "flow_rows.bpf.h"
#include "lb_address.bpf.h"
#include "lb_maps.bpf.h"
#include "masquerade.bpf.h"
#include "maps/flow_table.h"

/* In place of a flow's id. */
#define NO_FLOW 0xffffffff

struct found_flow {
	struct topolb_flow *flow; /* NULL: there is none */
	__u32 id;
	__u32 generation; /* as before the row was read */
};

static __always_inline struct topolb_flow *flow_of(__u32 flow_id)
{
	return bpf_map_lookup_elem(&flows, &flow_id);
}

/* Whether what was read of a flow since it was found is one flow's. */
static __always_inline int is_still_there(const struct found_flow *found)
{
	return !(found->generation & 1) && READ_ONCE(found->flow->generation) == found->generation;
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
	return masquerade_address(flow->masquerade, config);
}

/* Replies of direct flows are not seen here: one that looks like it is another flow's, or nobody's.
 */
static __always_inline int is_replys_key(const struct topolb_flow *flow,
					 const struct topolb_flow_key *key,
					 const struct topolb_settings *config)
{
	return !(flow->state & TOPOLB_FLOW_DIRECT) && same_address(&flow->backend, &key->source) &&
	       flow->backend_port_be == key->source_port_be &&
	       flow->source_port_be == key->destination_port_be &&
	       flow->protocol == key->protocol &&
	       same_address(address_seen_by_backend(flow, config), &key->destination);
}

static __always_inline __u64 hash_at_port(__u64 base, __be16 client_port_be)
{
	return topolb_flow_hash(base, bpf_ntohs(client_port_be), flow_port_step());
}

/* Of the key of the client's packets, and of the replies. */
static __always_inline __u64 clients_hash(const struct topolb_flow *flow)
{
	__u64 base = topolb_flow_base(&flow->client, &flow->frontend, flow->frontend_port_be,
				      flow->protocol, flow_seed());

	return hash_at_port(base, flow->client_port_be);
}

static __always_inline __u64 replies_base(const struct topolb_flow *flow,
					  const struct topolb_settings *config)
{
	return topolb_flow_base(&flow->backend, address_seen_by_backend(flow, config),
				flow->backend_port_be, flow->protocol,
				topolb_flow_replys_seed(flow_seed()));
}

static __always_inline __u64 reply_hash(const struct topolb_flow *flow,
					const struct topolb_settings *config)
{
	return hash_at_port(replies_base(flow, config), flow->source_port_be);
}

static __always_inline __u64 hash_of_key(const struct topolb_flow_key *key, int is_reply)
{
	__be16 service = is_reply ? key->source_port_be : key->destination_port_be;
	__be16 client = is_reply ? key->destination_port_be : key->source_port_be;
	__u64 seed = is_reply ? topolb_flow_replys_seed(flow_seed()) : flow_seed();

	return hash_at_port(
		topolb_flow_base(&key->source, &key->destination, service, key->protocol, seed),
		client);
}

static __always_inline struct topolb_flow_place place_of(__u64 hash)
{
	return topolb_flow_place_of(hash, flow_lines(), flow_id_bits());
}

static __always_inline __u32 id_in(__u32 slot)
{
	return topolb_flow_id_in(slot, flow_id_bits());
}

/* The first slot of a line with a tag; 0: none. */
static __always_inline __u32 find_slot_of(const struct topolb_flow_line *line, __u32 tag)
{
	__u32 id_bits = flow_id_bits();

#pragma unroll
	for (__u32 way = 0; way < TOPOLB_FLOW_WAYS; way++) {
		__u32 slot = line->slots[way];

		if (slot >> id_bits == tag)
			return slot;
	}
	return TOPOLB_FLOW_SLOT_FREE;
}

/* Whether a slot's row has the key of a packet, of the client or (`is_reply`) of the backend. Its
 * generation may be odd. *found has no flow if not. */
static __always_inline int is_flow_of(__u32 slot, const struct topolb_flow_key *key, int is_reply,
				      const struct topolb_settings *config,
				      struct found_flow *found)
{
	struct topolb_flow *flow;

	found->id = id_in(slot);
	flow = flow_of(found->id);
	if (!flow)
		return 0;
	found->generation = READ_ONCE(flow->generation);
	if (!(is_reply ? is_replys_key(flow, key, config) : is_clients_key(flow, key)))
		return 0;
	found->flow = flow;
	return 1;
}

/* A flow by the key of its packets. */
static __always_inline struct found_flow find_flow(const struct topolb_flow_key *key, int is_reply,
						   const struct topolb_settings *config)
{
	struct topolb_flow_place place = place_of(hash_of_key(key, is_reply));
	struct found_flow found = {};

#pragma unroll
	for (int choice = 0; choice < 2; choice++) {
		__u32 line_id = place.lines[choice];
		struct topolb_flow_line *line = bpf_map_lookup_elem(&flow_index, &line_id);
		__u32 slot;

		if (!line)
			break;
		slot = find_slot_of(line, place.tag);
		if (slot && is_flow_of(slot, key, is_reply, config, &found))
			break;
		if (!line->is_overflowed)
			break;
	}
	return found;
}

/* The same: packets of flows that this CPU has met lately need no look into the index.
 * `is_first`: of a connection: it has no flow, or the client has sent it again. */
static __always_inline struct found_flow find_recent_flow(const struct topolb_flow_key *key,
							  int is_first, int is_reply,
							  const struct topolb_settings *config)
{
	__u32 row = 0, *slot;
	struct topolb_recent_flows *recent = bpf_map_lookup_elem(&recent_flows, &row);
	struct found_flow found = {};
	__u64 hash = topolb_recent_hash(key);

	if (!recent)
		return found;
	slot = &recent->slots[hash >> TOPOLB_RECENT_FLOWS_SHIFT];
	/* A row that was given up still has its key, which may be another row's by now. */
	if (!is_first && *slot >> flow_id_bits() == topolb_recent_tag(hash, flow_id_bits()) &&
	    is_flow_of(*slot, key, is_reply, config, &found) && !(found.generation & 1))
		return found;
	found = find_flow(key, is_reply, config);
	if (found.flow) /* the hash again: it is quicker than to keep it on the stack */
		*slot = topolb_flow_slot(topolb_recent_tag(topolb_recent_hash(key), flow_id_bits()),
					 found.id, flow_id_bits());
	return found;
}

static __always_inline struct found_flow find_clients_flow(const struct topolb_flow_key *key)
{
	return find_flow(key, 0, NULL);
}

static __always_inline struct found_flow find_replys_flow(const struct topolb_flow_key *key,
							  const struct topolb_settings *config)
{
	return find_flow(key, 1, config);
}

#endif
