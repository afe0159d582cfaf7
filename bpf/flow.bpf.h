/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow table of the per-packet path (maps/layout.h: struct topolb_flow).
 *
 * Each flow is two entries, one per direction; the translated key of one, turned around,
 * is the key of the other. An entry knows all that its packets need, so a packet costs
 * one look-up. What both must know (age, state) is brought to the other entry when the
 * state changes and every TOPOLB_FLOW_TOUCH_TICKS; that also puts back one that the LRU
 * has evicted, so a flow lives while either entry does.
 *
 * Times are CLOCK_MONOTONIC as of the last tick.
 */
#ifndef TOPOLB_FLOW_BPF_H
#define TOPOLB_FLOW_BPF_H

#include "parse.bpf.h"

enum {
	FLOW_USABLE,
	FLOW_ENDING, /* usable; to be deleted after this packet */
	FLOW_OVER,   /* as if it were not there */
};

static __always_inline void count_event(__u32 event)
{
	__u64 *events = bpf_map_lookup_elem(&packet_events, &event);

	if (events)
		(*events)++;
}

static __always_inline struct topolb_flow_key turned_around(const struct topolb_flow_key *key)
{
	return (struct topolb_flow_key){
		.source = key->destination,
		.destination = key->source,
		.source_port_be = key->destination_port_be,
		.destination_port_be = key->source_port_be,
		.protocol = key->protocol,
	};
}

static __always_inline int same_key(const struct topolb_flow_key *a,
				    const struct topolb_flow_key *b)
{
	return same_address(&a->source, &b->source) &&
	       same_address(&a->destination, &b->destination) &&
	       a->source_port_be == b->source_port_be &&
	       a->destination_port_be == b->destination_port_be && a->protocol == b->protocol;
}

static __always_inline int is_idle_too_long(const struct topolb_flow *flow, __u64 now)
{
	__u64 timeout = topolb_flow_timeout_s(flow->translated.protocol, flow->state);

	/* Another CPU may have touched it a tick later. */
	return now > flow->touched_ns && now - flow->touched_ns > timeout * NSEC_PER_SEC;
}

/* Deletes both entries of a flow, if there is one under the key. */
static __noinline void close_flow(const struct topolb_flow_key *key)
{
	struct topolb_flow *flow = bpf_map_lookup_elem(&flows, key);
	struct topolb_flow_key other;

	if (!flow)
		return;
	other = turned_around(&flow->translated);
	bpf_map_delete_elem(&flows, &other);
	bpf_map_delete_elem(&flows, key);
	count_event(TOPOLB_EVENT_FLOW_CLOSED);
}

/* The state of the flow after this packet. A RST that the receiver did not believe (its
 * sender goes on) is forgotten: the path does not follow sequence numbers. */
static __always_inline __u32 next_state(const struct packet *packet, const struct topolb_flow *flow)
{
	__u32 is_reply = flow->flags & TOPOLB_FLOW_REPLY, state = flow->state;

	if (is_reply)
		state |= TOPOLB_FLOW_REPLIED;
	if (packet->key.protocol != IPPROTO_TCP || packet->fragment == FRAGMENT_LATER)
		return state;
	if (packet->tcp_flags & TCP_RST)
		return state | TOPOLB_FLOW_RESET;
	if (packet->tcp_flags & TCP_FIN)
		state |= is_reply ? TOPOLB_FLOW_BACKEND_FIN : TOPOLB_FLOW_CLIENT_FIN;
	return state & ~TOPOLB_FLOW_RESET;
}

/* Brings age and state to the other entry, which is made anew if it was evicted. */
static __always_inline void update_other_entry(const struct packet *packet,
					       const struct topolb_flow *flow)
{
	struct topolb_flow_key key = turned_around(&flow->translated);
	struct topolb_flow *other = bpf_map_lookup_elem(&flows, &key);

	if (other) {
		other->touched_ns = flow->touched_ns;
		other->touched_tick = flow->touched_tick;
		other->state = flow->state;
		return;
	}

	struct topolb_flow lost = *flow;

	lost.translated = turned_around(&packet->key);
	lost.flags ^= TOPOLB_FLOW_REPLY;
	lost.interface_index = 0;
	bpf_map_update_elem(&flows, &key, &lost, BPF_NOEXIST);
}

/* Global functions, here and below, are read by the verifier once, not at each call. */
__noinline int topolb_follow_flow(const struct packet *packet, struct topolb_flow *flow)
{
	if (!packet || !flow)
		return FLOW_OVER;

	__u64 now = bpf_ktime_get_coarse_ns();
	__u32 state = flow->state;

	if (is_idle_too_long(flow, now))
		return FLOW_OVER;
	if ((packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN &&
	    (state & TOPOLB_FLOW_RESET || (state & TOPOLB_FLOW_CLOSED) == TOPOLB_FLOW_CLOSED))
		return FLOW_OVER; /* the client uses its port again */
	if ((state & TOPOLB_FLOW_CLOSED) == TOPOLB_FLOW_CLOSED &&
	    (packet->tcp_flags & (TCP_ACK | TCP_FIN | TCP_RST)) == TCP_ACK)
		return FLOW_ENDING; /* the last acknowledgement */
	flow->touched_ns = now;
	flow->touched_tick = bpf_jiffies64();
	flow->state = next_state(packet, flow);
	flow->interface_index = 0; /* routes change */
	update_other_entry(packet, flow);
	return FLOW_USABLE;
}

/* Accounts for a packet of a flow. Returns a FLOW_*. The tick is read without a call. */
static __always_inline int meet_flow(const struct packet *packet, struct topolb_flow *flow)
{
	__u32 ticks = (__u32)bpf_jiffies64() - flow->touched_tick;
	__u32 state = flow->state;

	/* Open, replied to or not; a reply is news to a flow without one. */
	if (ticks < TOPOLB_FLOW_TOUCH_TICKS &&
	    !(packet->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)) &&
	    (state == TOPOLB_FLOW_REPLIED || (!state && !(flow->flags & TOPOLB_FLOW_REPLY))))
		return FLOW_USABLE;
	return topolb_follow_flow(packet, flow);
}

/*
 * The backend's endpoint is gone. A datagram finds another backend at once; a connection would
 * break, so for TCP the row must be gone, which gives the endpoint a moment to come back (one
 * that moves from one EndpointSlice to another may be in none in between).
 */
static __always_inline int is_backend_gone(const struct topolb_flow *flow)
{
	__u32 backend_id = flow->backend_id;
	struct topolb_backend *backend = bpf_map_lookup_elem(&backends, &backend_id);

	if (!backend || backend->state == TOPOLB_BACKEND_FREE)
		return 1;
	if (backend->flags & TOPOLB_BACKEND_GONE && flow->translated.protocol != IPPROTO_TCP)
		return 1;
	return backend->protocol != flow->translated.protocol ||
	       backend->port_be != flow->translated.destination_port_be ||
	       !same_address(&backend->address, &flow->translated.destination);
}

/* Whether an entry that is in the way of a new one may be replaced by it. */
static __always_inline int may_replace(const struct topolb_flow_key *key,
				       const struct topolb_flow *wanted, __u64 now)
{
	struct topolb_flow *present = bpf_map_lookup_elem(&flows, key);

	if (!present)
		return 1;
	return same_key(&present->translated, &wanted->translated) ||
	       is_idle_too_long(present, now) ||
	       (present->state & TOPOLB_FLOW_CLOSED) == TOPOLB_FLOW_CLOSED;
}

struct port_search {
	struct topolb_flow_key *key;
	struct topolb_flow *reply;
	__u16 port_min;
	__u16 port_max;
};

/* Inserts the entry of the replies under a port of the node that no other flow to the same
 * backend has. Inserting is the claim, so two CPUs cannot get the same. */
static __noinline int claim_port(struct port_search *search)
{
	struct topolb_flow_key *key = search->key;
	__u64 now = search->reply->created_ns;
	__u32 ports = search->port_max - search->port_min + 1;

	if (!search->port_min || search->port_min > search->port_max)
		return -1;
	for (int probe = 0; probe < TOPOLB_PORT_PROBES; probe++) {
		__u32 port =
			search->port_min + (__u32)(((__u64)bpf_get_prandom_u32() * ports) >> 32);

		key->destination_port_be = bpf_htons((__u16)port);
		if (!bpf_map_update_elem(&flows, key, search->reply, BPF_NOEXIST))
			return 0;
		if (may_replace(key, search->reply, now) &&
		    !bpf_map_update_elem(&flows, key, search->reply, BPF_ANY))
			return 0;
	}
	return -1;
}

/* Inserts the entry of the replies. */
static __always_inline int insert_reply(struct topolb_flow_key *key, struct topolb_flow *reply,
					const struct topolb_settings *config)
{
	struct port_search search = {
		.key = key,
		.reply = reply,
		.port_min = config->masquerade_port_min,
		.port_max = config->masquerade_port_max,
	};

	if (reply->flags & TOPOLB_FLOW_MASQUERADED)
		return claim_port(&search);
	if (!bpf_map_update_elem(&flows, key, reply, BPF_NOEXIST))
		return 0;
	if (may_replace(key, reply, reply->created_ns))
		return bpf_map_update_elem(&flows, key, reply, BPF_ANY);
	/* One client port that dials two frontends with one backend is two flows. */
	return claim_port(&search);
}

/*
 * Inserts both entries of a new flow. `flow` is the client's, whose translated source is
 * the client itself or the node's address; it gets another source port where it must.
 */
__noinline int topolb_insert_flow(const struct topolb_flow_key *key, struct topolb_flow *flow,
				  const struct topolb_settings *config)
{
	if (!key || !flow || !config)
		return -1;

	struct topolb_flow_key reply_key = turned_around(&flow->translated);

	flow->translated = turned_around(key);
	flow->flags |= TOPOLB_FLOW_REPLY;
	if (insert_reply(&reply_key, flow, config))
		return -1;
	flow->translated = turned_around(&reply_key);
	flow->flags &= ~TOPOLB_FLOW_REPLY;
	if (bpf_map_update_elem(&flows, key, flow, BPF_ANY)) {
		bpf_map_delete_elem(&flows, &reply_key);
		return -1;
	}
	count_event(TOPOLB_EVENT_FLOW_OPENED);
	return 0;
}

#endif
