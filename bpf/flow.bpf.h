/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The life of a flow: what its packets do to it, when it is over, how one begins.
 *
 * A packet's flow tells where the packet goes (struct step). A flow is touched when its state
 * changes and every TOPOLB_FLOW_TOUCH_TICKS. Times are as of the last tick.
 */
#ifndef TOPOLB_FLOW_BPF_H
#define TOPOLB_FLOW_BPF_H

#include "parse.bpf.h"

static __noinline int is_nodes_own(const struct topolb_address *address)
{
	struct topolb_address own = *address; /* Linux 6.1 looks up what is on the stack only */

	return bpf_map_lookup_elem(&node_addresses, &own) != NULL;
}

/* Whether a flow's replies go from the backend's node to the client. The verifier drops what is
 * behind it when DSR is off. */
static __always_inline int is_direct(__u32 state)
{
	return is_dsr_on() && state & TOPOLB_FLOW_DIRECT;
}

static __always_inline void count_event(__u32 event)
{
	__u64 *events = bpf_map_lookup_elem(&packet_events, &event);

	if (events)
		(*events)++;
}

#include "flow_table.bpf.h"

/* Whether a packet is a client's first of a connection, if it has no flow. */
static __always_inline int is_syn(const struct packet *packet)
{
	return (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* What becomes of a packet. */
struct step {
	struct topolb_flow_key to; /* its new addresses and ports */
	__u32 flow_id;
	__u16 generation;
	__u8 is_reply;
	__u8 flags; /* STEP_* */
};

enum {
	STEP_MASQUERADED = 1 << 0,
	STEP_ENDS = 1 << 1, /* the flow is to be removed after this packet */
	STEP_DIRECT = 1 << 2,
};

/* The key of packets in the other direction. */
static __noinline void turn_around(struct topolb_flow_key *key)
{
	struct topolb_address address = key->source;
	__be16 port_be = key->source_port_be;

	key->source = key->destination;
	key->destination = address;
	key->source_port_be = key->destination_port_be;
	key->destination_port_be = port_be;
}

static __always_inline void fill_step(const struct found_flow *found, int is_reply,
				      const struct topolb_settings *config, struct step *step)
{
	const struct topolb_flow *flow = found->flow;

	if (is_reply) {
		step->to.source = flow->frontend;
		step->to.destination = flow->client;
		step->to.source_port_be = flow->frontend_port_be;
		step->to.destination_port_be = flow->client_port_be;
	} else {
		step->to.source = *address_seen_by_backend(flow, config);
		step->to.destination = flow->backend;
		step->to.source_port_be = flow->source_port_be;
		step->to.destination_port_be = flow->backend_port_be;
	}
	step->to.protocol = flow->protocol;
	step->flags = flow->state & TOPOLB_FLOW_MASQUERADED ? STEP_MASQUERADED : 0;
	if (is_direct(flow->state))
		step->flags |= STEP_DIRECT;
	step->is_reply = is_reply;
	step->flow_id = found->id;
	step->generation = found->generation;
}

/*
 * The state of the flow after this packet. A connection counts as replied to when the client has
 * acknowledged the reply: whoever floods with the addresses of others never does. A RST that the
 * receiver did not believe (its sender goes on) is forgotten: the path does not follow sequence
 * numbers.
 */
static __always_inline __u32 next_state(const struct packet *packet, __u32 state, int is_reply)
{
	if (packet->key.protocol != IPPROTO_TCP)
		return is_reply || is_direct(state) ? state | TOPOLB_FLOW_REPLIED : state;
	if (packet->fragment == FRAGMENT_LATER)
		return state;
	if (is_reply && !(state & TOPOLB_FLOW_REPLIED))
		state |= TOPOLB_FLOW_ANSWERED;
	if (!is_reply && (state & TOPOLB_FLOW_ANSWERED || is_direct(state)) &&
	    (packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_ACK)
		state = (state & ~TOPOLB_FLOW_ANSWERED) | TOPOLB_FLOW_REPLIED;
	if (packet->tcp_flags & TCP_RST)
		return state | TOPOLB_FLOW_RESET;
	if (packet->tcp_flags & TCP_FIN)
		state |= is_reply ? TOPOLB_FLOW_BACKEND_FIN : TOPOLB_FLOW_CLIENT_FIN;
	return state & ~TOPOLB_FLOW_RESET;
}

enum {
	FLOW_USABLE,
	FLOW_ENDING, /* usable; to be removed after this packet */
	FLOW_OVER,   /* as if it were not there */
};

/*
 * What a segment of a connection that closes adds to the state: whether it acknowledges the other
 * side's FIN, and so all that was sent before it. Others acknowledge data that was on its way.
 */
static __noinline __u32 follow_close(struct __sk_buff *ctx, const struct packet *packet,
				     struct topolb_flow *flow, int is_reply)
{
	struct topolb_hop *sent = &flow->hops[is_reply ? TOPOLB_TO_CLIENT : TOPOLB_TO_BACKEND];
	struct topolb_hop *got = &flow->hops[is_reply ? TOPOLB_TO_BACKEND : TOPOLB_TO_CLIENT];
	__u32 length = packet->l3_offset + packet->l3_length - packet->l4_offset;
	struct tcphdr tcp;

	if (bpf_skb_load_bytes(ctx, packet->l4_offset, &tcp, sizeof(tcp)))
		return 0;
	if (tcp.fin)
		sent->fin_end = (__u16)(bpf_ntohl(tcp.seq) + length - tcp.doff * 4 + 1);
	if (!tcp.ack || (__u16)bpf_ntohl(tcp.ack_seq) != got->fin_end)
		return 0;
	if (is_reply)
		return flow->state & TOPOLB_FLOW_CLIENT_FIN ? TOPOLB_FLOW_CLIENT_FIN_ACKED : 0;
	return flow->state & TOPOLB_FLOW_BACKEND_FIN ? TOPOLB_FLOW_BACKEND_FIN_ACKED : 0;
}

/* Global functions, here and below, are read by the verifier once, not at each call. */
__noinline int topolb_follow_flow(struct __sk_buff *ctx, const struct packet *packet, __u32 flow_id,
				  int is_reply)
{
	struct topolb_flow *flow = flow_of(flow_id);

	if (!packet || !flow)
		return FLOW_OVER;

	__u32 now = topolb_flow_time(bpf_ktime_get_coarse_ns());
	__u32 state = flow->state, next = next_state(packet, state, is_reply);

	if (is_idle_too_long(flow, now))
		return FLOW_OVER;
	if (is_syn(packet) &&
	    (state & TOPOLB_FLOW_RESET || (state & TOPOLB_FLOW_CLOSED) == TOPOLB_FLOW_CLOSED ||
	     (is_direct(state) && state & TOPOLB_FLOW_CLOSED)))
		return FLOW_OVER; /* the client uses its port again */
	if (next & TOPOLB_FLOW_CLOSED && packet->fragment != FRAGMENT_LATER)
		next |= follow_close(ctx, packet, flow, is_reply);
	if ((next & TOPOLB_FLOW_ALL_ACKED) == TOPOLB_FLOW_ALL_ACKED)
		return FLOW_ENDING;
	flow->touched = now;
	flow->touched_tick = bpf_jiffies64();
	if (next & ~state)
		__sync_fetch_and_or(&flow->state, next & ~state);
	if (state & ~next)
		__sync_fetch_and_and(&flow->state, ~(state & ~next));
	/* Routes change. */
	flow->hops[is_reply ? TOPOLB_TO_CLIENT : TOPOLB_TO_BACKEND].interface_index = 0;
	return FLOW_USABLE;
}

/*
 * Accounts for a packet of a flow, and says in *step what becomes of it. Returns a FLOW_*. The
 * tick is read without a call.
 */
static __always_inline int meet_flow(struct __sk_buff *ctx, const struct packet *packet,
				     const struct found_flow *found, int is_reply,
				     const struct topolb_settings *config, struct step *step)
{
	struct topolb_flow *flow = found->flow;
	__u32 ticks = (__u32)bpf_jiffies64() - flow->touched_tick;
	__u32 state = flow->state & TOPOLB_FLOW_SEEN;
	int result = FLOW_USABLE;

	/* Open, replied to or not; a reply is news to a flow without one. */
	if (ticks >= TOPOLB_FLOW_TOUCH_TICKS || packet->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST) ||
	    (state != TOPOLB_FLOW_REPLIED && (state || is_reply || is_direct(flow->state))))
		result = is_still_there(found)
				 ? topolb_follow_flow(ctx, packet, found->id, is_reply)
				 : FLOW_OVER;
	if (result == FLOW_OVER)
		return result;
	fill_step(found, is_reply, config, step);
	if (result == FLOW_ENDING)
		step->flags |= STEP_ENDS;
	return is_still_there(found) ? result : FLOW_OVER;
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
	if (backend->flags & TOPOLB_BACKEND_GONE && flow->protocol != IPPROTO_TCP)
		return 1;
	return backend->protocol != flow->protocol || backend->port_be != flow->backend_port_be ||
	       !same_address(&backend->address, &flow->backend);
}

/* Removes a flow that was met. */
static __always_inline void close_flow(__u32 flow_id, __u32 generation,
				       const struct topolb_settings *config)
{
	if (remove_flow(flow_id, generation, config))
		count_event(TOPOLB_EVENT_FLOW_CLOSED);
}

/* Whether a flow that is in the way of a new one may be removed for it. */
static __always_inline int may_replace(const struct topolb_flow *flow, __u32 now)
{
	return is_idle_too_long(flow, now) ||
	       (flow->state & TOPOLB_FLOW_CLOSED) == TOPOLB_FLOW_CLOSED;
}

/*
 * Makes the row found by its replies, under a source port that no other flow to the same backend
 * has. First it tries ports whose replies stand near the client's packets, which have `hash`: a
 * client whose ports ascend gets ports that ascend, each another one. They lie apart, to leave
 * those between to its next flows. Then any.
 */
__noinline int topolb_claim_port(struct topolb_flow *flow, __u32 flow_id, __u64 hash,
				 const struct topolb_settings *config)
{
	__u32 first, last, near;
	__u64 base;

	if (!flow || !config)
		return -1;
	first = config->masquerade_port_min;
	last = config->masquerade_port_max;
	if (!first || first > last)
		return -1;
	base = replies_base(flow, config);
	near = flow_port_step()
		       ? topolb_flow_port_near(hash, base, first, flow_port_step(), flow_lines())
		       : last + 1;
	hash = topolb_flow_mix(hash, (__u64)flow->generation << 32 | flow_id);
	for (__u32 probe = 0; probe < TOPOLB_PORT_PROBES; probe++) {
		__u32 port = near + probe * TOPOLB_PORTS_BETWEEN;

		if (probe >= TOPOLB_NEAR_PORT_PROBES || port > last) {
			hash = topolb_flow_mix(hash, probe);
			port = first + (__u32)(((hash >> 32) * (last - first + 1)) >> 32);
		}
		flow->source_port_be = bpf_htons((__u16)port);
		/* Where few ports are left, each may have what room there is. */
		int kind = probe < TOPOLB_PORT_PROBES / 2 ? KEY_OF_CHOICE : KEY_OF_REPLY;

		if (!topolb_add_slot(topolb_flow_hash(base, (__u16)port, flow_port_step()), flow_id,
				     kind, config))
			return 0;
	}
	return -1;
}

/* Removes the flow whose replies have the key that a new one's have, if it may go. */
static __noinline int replace_in_line(__u32 line_id, __u32 tag, __u32 flow_id,
				      const struct topolb_settings *config)
{
	const struct topolb_flow *flow = flow_of(flow_id), *other;
	__u32 slot = find_slot_in(line_id, tag), generation;

	other = flow_of(id_in(slot));
	if (!slot || !flow || !other)
		return 0;
	generation = READ_ONCE(other->generation);
	return has_same_reply(flow, other, config) && may_replace(other, flow->created) &&
	       remove_flow(id_in(slot), generation, config);
}

__noinline int topolb_replace_reply(__u64 hash, __u32 flow_id, const struct topolb_settings *config)
{
	struct topolb_flow_place place = place_of(hash);

	if (!config)
		return 0;
	return replace_in_line(place.lines[0], place.tag, flow_id, config) ||
	       replace_in_line(place.lines[1], place.tag, flow_id, config);
}

/* Makes the row found by its replies. `hash`: of the client's key. */
static __always_inline int connect_reply(struct topolb_flow *flow, __u32 flow_id, __u64 hash,
					 const struct topolb_settings *config)
{
	__u64 replys;

	if (is_direct(flow->state))
		return 0;
	if (!(flow->state & TOPOLB_FLOW_MASQUERADED)) {
		replys = reply_hash(flow, config);
		if (!topolb_add_slot(replys, flow_id, KEY_OF_REPLY, config) ||
		    (topolb_replace_reply(replys, flow_id, config) &&
		     !topolb_add_slot(replys, flow_id, KEY_OF_REPLY, config)))
			return 0;
	}
	/* Also: one client port that dials two frontends with one backend is two flows. */
	return topolb_claim_port(flow, flow_id, hash, config);
}

/* Whether a packet may be the first one of a flow. */
static __always_inline int may_begin(const struct packet *packet)
{
	return packet->key.protocol != IPPROTO_TCP ||
	       (packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* Writes all of a row but its generation. */
static __always_inline void write_row(struct topolb_flow *flow, const struct packet *packet,
				      const struct topolb_choice *choice, __u32 kind)
{
	__u32 now = topolb_flow_time(bpf_ktime_get_coarse_ns());

	flow->client = packet->key.source;
	flow->frontend = packet->key.destination;
	flow->backend = choice->backend.address;
	flow->client_port_be = packet->key.source_port_be;
	flow->frontend_port_be = packet->key.destination_port_be;
	flow->backend_port_be = choice->backend.port_be;
	flow->source_port_be = packet->key.source_port_be;
	flow->state =
		next_state(packet, kind | choice->topology_key_id << TOPOLB_FLOW_KEY_SHIFT, 0);
	flow->protocol = packet->key.protocol;
	flow->masquerade = choice->masquerade;
	flow->hops[TOPOLB_TO_BACKEND].interface_index = 0;
	flow->hops[TOPOLB_TO_CLIENT].interface_index = 0;
	flow->touched = now;
	flow->created = now;
	flow->backend_id = choice->backend_id;
	flow->touched_tick = bpf_jiffies64();
}

/* Inserts the flow of a packet, which has none, into a row that the caller owns. -1: no port is to
 * be had, or another CPU did the same; the row is given back. */
__noinline int topolb_insert_flow(const struct packet *packet, const struct topolb_choice *choice,
				  __u32 kind, const struct topolb_settings *config, __u32 flow_id)
{
	struct topolb_flow *flow = flow_of(flow_id);
	__u16 generation;
	__u64 hash;

	if (!packet || !choice || !config || !flow)
		return -1;
	flow->generation |= 1;
	write_row(flow, packet, choice, kind);
	hash = clients_hash(flow); /* here: the stack of Linux 6.1 has no room for it before */
	if (connect_reply(flow, flow_id, hash, config)) {
		flow->generation += 2; /* odd, and another one: the row changes hands */
		free_row(flow_id);
		return -1;
	}
	generation = flow->generation + 1;
	if (!generation) /* that of a row that was never used */
		generation = 2;
	flow->generation = generation;
	if (!topolb_add_slot(hash, flow_id, KEY_OF_CLIENT, config))
		return 0;
	remove_flow(flow_id, generation, config);
	return -1;
}

/* Begins the flow of a packet, which has none. `kind`: TOPOLB_FLOW_MASQUERADED, _DIRECT or 0.
 * Returns its id, or NO_FLOW, which is counted. */
static __always_inline __u32 begin_flow(const struct packet *packet,
					const struct topolb_choice *choice, __u32 kind,
					const struct topolb_settings *config)
{
	__u32 flow_id = take_row();

	if (flow_id == NO_ROOM)
		flow_id = topolb_evict(config);
	if (flow_id == NO_ROOM) {
		count_event(TOPOLB_EVENT_FLOW_REFUSED);
		return NO_FLOW;
	}
	if (topolb_insert_flow(packet, choice, kind, config, flow_id)) {
		count_event(TOPOLB_EVENT_FLOW_WITHOUT_PORT);
		return NO_FLOW;
	}
	count_event(TOPOLB_EVENT_FLOW_OPENED);
	return flow_id;
}

#endif
