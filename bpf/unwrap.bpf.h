/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Direct server return, on the backend's node: takes a client's packet out of the one that another
 * node has wrapped it in (dsr.bpf.h), and keeps its flow, so that the replies leave this node as
 * the frontend's. What is in the wrapper must be for a frontend that this node knows, and the
 * wrapper for a backend of that one on this node. A NodePort is its owner's alone: the wrapper
 * must come from the address that was dialled.
 *
 * A client that is not reached by the device that the wrapper came by can't be answered from here
 * (it is this node or one of its pods, say): the wrapper is handed back to its sender, which
 * masquerades that flow instead. What is no wrapper of ours is left alone.
 *
 * Global functions begin with a look at is_dsr_on: Linux 6.1 verifies those that nobody calls, too.
 */
#ifndef TOPOLB_UNWRAP_BPF_H
#define TOPOLB_UNWRAP_BPF_H

#include "fragment.bpf.h"
#include "icmp.bpf.h"

/* The stack has no room for them. One row; valid during one run of a program. */
struct unwrapping {
	struct packet inner;
	struct topolb_choice choice;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct unwrapping);
} unwrappings SEC(".maps");

static __always_inline struct unwrapping *new_unwrapping(void)
{
	__u32 row = 0;
	struct unwrapping *unwrapping = bpf_map_lookup_elem(&unwrappings, &row);

	if (unwrapping)
		__builtin_memset(unwrapping, 0, sizeof(*unwrapping));
	return unwrapping;
}

/* Beside TC_ACT_*. */
#define NO_FLOW_YET -4
#define UNWRAPPED -5
#define NOT_OURS -6
#define NOT_FROM_HERE -7

/* Whether a packet may be a wrapper; one in VLAN tags that the kernel has left in it is none. */
static __always_inline int is_wrapper(int kind, const struct packet *packet)
{
	return kind == PARSE_OTHER && !packet->fragment && packet->l3_offset == ETH_HLEN &&
	       packet->l4_offset == ETH_HLEN + ip_header_length(packet) &&
	       packet->key.protocol == (packet->is_ipv4 ? IPPROTO_IPIP : IPPROTO_IPV6);
}

/* Whether a wrapper is as long as it says, and no router would drop it. */
static __noinline int is_whole(struct __sk_buff *ctx, const struct packet *outer)
{
	struct iphdr ip;

	if (outer->l3_offset + outer->l3_length > ctx->len)
		return 0;
	if (!outer->is_ipv4)
		return 1;
	if (bpf_skb_load_bytes(ctx, ETH_HLEN, &ip, sizeof(ip)))
		return 0;
	return fold_sum(bpf_csum_diff(NULL, 0, (__be32 *)&ip, sizeof(ip), 0)) == 0xffff;
}

static __noinline int parse_inner(struct __sk_buff *ctx, const struct packet *outer,
				  struct packet *inner)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (outer->is_ipv4) {
		inner->l3_offset = ETH_HLEN + sizeof(struct iphdr);
		return parse_ipv4(ctx, inner, data + ETH_HLEN + sizeof(struct iphdr), end);
	}
	inner->l3_offset = ETH_HLEN + sizeof(struct ipv6hdr);
	return parse_ipv6(ctx, inner, data + ETH_HLEN + sizeof(struct ipv6hdr), end);
}

/* What is in a wrapper. Returns a PARSE_*. @pre *inner is zero. */
__noinline int topolb_parse_wrapped(struct __sk_buff *ctx, const struct packet *outer,
				    struct packet *inner)
{
	__u32 wanted;
	int kind;

	if (!is_dsr_on() || !outer || !inner || !is_whole(ctx, outer))
		return PARSE_OTHER;
	wanted = ETH_HLEN +
		 (outer->is_ipv4 ? 2 * sizeof(struct iphdr) : 2 * sizeof(struct ipv6hdr)) +
		 sizeof(struct tcphdr);
	if (bpf_skb_pull_data(ctx, ctx->len < wanted ? ctx->len : wanted))
		return PARSE_OTHER;
	kind = parse_inner(ctx, outer, inner);
	return inner->l3_offset + inner->l3_length > outer->l3_offset + outer->l3_length
		       ? PARSE_OTHER
		       : kind;
}

struct backend_search {
	const struct topolb_set *set;
	struct topolb_choice *choice;
};

static long match_step(__u32 slot, void *data)
{
	struct backend_search *search = data;
	struct topolb_choice *choice = search->choice;
	__u32 backend_id = backend_in_slot(search->set, slot);
	struct topolb_backend *backend = bpf_map_lookup_elem(&backends, &backend_id);

	if (!backend || backend->state == TOPOLB_BACKEND_FREE ||
	    !(backend->flags & TOPOLB_BACKEND_LOCAL) ||
	    !same_address(&backend->address, &choice->backend.address))
		return 0;
	choice->backend_id = backend_id;
	choice->slot = slot;
	choice->backend = *backend;
	return 1;
}

/* Completes choice->backend, of which the address is known, if it is in the tier and here. */
__noinline int topolb_find_in_tier(const struct topolb_set *set, struct topolb_choice *choice)
{
	struct backend_search search = {.set = set, .choice = choice};

	if (!is_dsr_on() || !set || !choice)
		return 0;
	bpf_loop(set->backend_count, match_step, &search, 0);
	return choice->backend_id != 0;
}

/* The same in all tiers of a set. */
static __always_inline int find_in_set(const struct topolb_set *set, struct topolb_choice *choice)
{
	for (int chain = 0; chain < TOPOLB_MAX_TIERS; chain++) {
		__u32 next_set = set->next_set;

		if (topolb_find_in_tier(set, choice)) {
			choice->topology_key_id = set->topology_key_id;
			return 1;
		}
		if (!next_set)
			break;
		set = bpf_map_lookup_elem(&sets, &next_set);
		if (!set)
			break;
	}
	return 0;
}

/* The frontend that was dialled at the node that the wrapper is from. NULL: none. */
static __noinline struct topolb_frontend_row *
find_wrapped_frontend(const struct packet *inner, const struct topolb_address *wrapper_source,
		      const struct topolb_settings *config)
{
	struct topolb_frontend dialled = {
		.address = inner->key.destination,
		.port_be = inner->key.destination_port_be,
		.protocol = inner->key.protocol,
	};

	if (is_node_port(dialled.port_be, config) && same_address(&dialled.address, wrapper_source))
		dialled.address = unspecified_like(&dialled.address);
	return find_row(&dialled);
}

/* Whether packets from the backend to the client leave by the device that this one came by. */
static __noinline int is_way_back(struct __sk_buff *ctx, const struct packet *inner,
				  const struct topolb_address *backend)
{
	struct bpf_fib_lookup lookup = {
		.l4_protocol = inner->key.protocol,
		.ifindex = ctx->ifindex,
		.tot_len = 1,
	};
	struct topolb_flow_key back = {.source = *backend, .destination = inner->key.source};
	long result;

	fill_addresses(&lookup, &back);
	result = bpf_fib_lookup(ctx, &lookup, sizeof(lookup), 0);
	return (result == BPF_FIB_LKUP_RET_SUCCESS || result == BPF_FIB_LKUP_RET_NO_NEIGH) &&
	       lookup.ifindex == ctx->ifindex;
}

/*
 * Another flow with the key of a packet that was wrapped for a backend of this node; the client, or
 * a router, has changed from one node to the other. It goes on if it is to a backend here: who has
 * answered the client goes on to answer. If it leads to another node it gives way, unless it is a
 * connection in use: then the packet is dropped, as two nodes that send it to each other would
 * never end. Returns NO_FLOW_YET, UNWRAPPED, or a TC_ACT_*.
 */
static __noinline int make_way(struct __sk_buff *ctx, const struct packet *inner,
			       const struct topolb_settings *config)
{
	struct found_flow found = find_clients_flow(&inner->key);
	struct topolb_flow *flow = found.flow;

	if (!flow)
		return NO_FLOW_YET;
	if (!(flow->state & (TOPOLB_FLOW_MASQUERADED | TOPOLB_FLOW_DIRECT))) {
		if (topolb_follow_flow(ctx, inner, found.id, 0) != FLOW_OVER)
			return UNWRAPPED;
	} else if (!may_begin(inner) ||
		   !(flow->state & TOPOLB_FLOW_CLOSED ||
		     evictability(flow, topolb_flow_time(bpf_ktime_get_coarse_ns())))) {
		count_event(TOPOLB_EVENT_DROPPED);
		return TC_ACT_SHOT;
	}
	close_flow(found.id, found.generation, config);
	return NO_FLOW_YET;
}

/* Opens the flow of a packet in a wrapper for `backend`. Returns UNWRAPPED, NOT_OURS,
 * NOT_FROM_HERE, or a TC_ACT_*. */
__noinline int topolb_open_wrapped(struct __sk_buff *ctx, const struct packet *outer,
				   const struct packet *inner, struct topolb_choice *choice)
{
	struct topolb_settings *config = read_settings();
	struct topolb_frontend_row *target;
	struct topolb_set *set;
	__u32 set_id;
	int verdict;

	if (!is_dsr_on() || !outer || !inner || !choice || !config)
		return NOT_OURS;
	target = find_wrapped_frontend(inner, &outer->key.source, config);
	if (!target)
		return NOT_OURS;
	set_id = *(const volatile __u32 *)&target->outside_set;
	set = bpf_map_lookup_elem(&sets, &set_id);
	if (!set || !set_id)
		return NOT_OURS;
	if (set->flags & TOPOLB_SET_SOURCE_RANGES &&
	    target->kind == TOPOLB_FRONTEND_LOAD_BALANCER &&
	    !is_in_source_ranges(inner, target->service_id)) {
		count_event(TOPOLB_EVENT_DROPPED);
		return TC_ACT_SHOT;
	}
	choice->backend.address = outer->key.destination;
	if (!find_in_set(set, choice) || !is_way_back(ctx, inner, &outer->key.destination))
		return NOT_FROM_HERE;
	verdict = make_way(ctx, inner, config);
	if (verdict != NO_FLOW_YET)
		return verdict;
	if (!may_begin(inner))
		return UNWRAPPED; /* to be refused */
	if (begin_flow(inner, choice, 0, config) == NO_FLOW)
		return TC_ACT_SHOT;
	return UNWRAPPED;
}

/* Sends a wrapper back to where it is from. */
static __always_inline int hand_back(struct __sk_buff *ctx, const struct packet *outer)
{
	struct topolb_flow_key back = outer->key;
	int failed;

	if (!is_answerable(ctx, outer)) /* its sender's address is nobody's */
		return TC_ACT_UNSPEC;
	turn_around(&back);
	failed = outer->is_ipv4 ? write_ipv4_header(ctx, outer, &back, HANDED_BACK_TTL, 0)
				: write_ipv6_header(ctx, outer, &back, HANDED_BACK_TTL,
						    BPF_F_RECOMPUTE_CSUM);
	count_event(failed ? TOPOLB_EVENT_FAILED : TOPOLB_EVENT_DIRECT_HANDED_BACK);
	return failed ? TC_ACT_SHOT : bpf_redirect_neigh(ctx->ifindex, NULL, 0, 0);
}

/* A flow whose wrappers its backend's node does not take out goes on masqueraded. Returns
 * UNWRAPPED, NOT_OURS (there is none), or a TC_ACT_*. */
__noinline int topolb_masquerade_flow(struct __sk_buff *ctx, const struct packet *packet,
				      const struct topolb_address *backend,
				      struct topolb_choice *choice)
{
	struct topolb_settings *config = read_settings();
	struct found_flow found;

	if (!is_dsr_on() || !packet || !backend || !choice || !config)
		return NOT_OURS;
	found = find_clients_flow(&packet->key);
	if (!found.flow || !same_address(&found.flow->backend, backend))
		return NOT_OURS;
	if (!is_direct(found.flow->state))
		return UNWRAPPED; /* another packet of it was faster */
	choice->backend.address = found.flow->backend;
	choice->backend.port_be = found.flow->backend_port_be;
	choice->backend_id = found.flow->backend_id;
	choice->topology_key_id = topolb_flow_key_id(found.flow);
	if (!remove_flow(found.id, found.generation, config))
		return TC_ACT_SHOT;
	choice->masquerade = masquerade_to(ctx, packet, &choice->backend.address, config);
	if (!choice->masquerade) {
		count_event(TOPOLB_EVENT_FLOW_WITHOUT_PORT);
		return TC_ACT_SHOT;
	}
	if (begin_flow(packet, choice, TOPOLB_FLOW_MASQUERADED, config) == NO_FLOW)
		return TC_ACT_SHOT;
	return UNWRAPPED;
}

/* For an ICMP error to the frontend, in a wrapper: whether it is about a flow of the backend's. */
__noinline int topolb_is_about_backend(struct __sk_buff *ctx, const struct packet *outer,
				       const struct packet *error)
{
	struct packet embedded = {};
	struct found_flow found;

	if (!is_dsr_on() || !outer || !error || parse_embedded(ctx, error, &embedded))
		return 0;
	turn_around(&embedded.key);
	found = find_clients_flow(&embedded.key);
	return found.flow && same_address(&found.flow->backend, &outer->key.destination);
}

/* Whether the wrapper's content has a flow here already. One that is over is removed. */
static __noinline int has_wrapped_flow(struct __sk_buff *ctx, const struct packet *outer,
				       const struct packet *inner,
				       const struct topolb_settings *config)
{
	struct found_flow found = find_clients_flow(&inner->key);
	struct topolb_flow *flow = found.flow;
	__u32 ticks;

	if (!flow || flow->state & (TOPOLB_FLOW_MASQUERADED | TOPOLB_FLOW_DIRECT) ||
	    !same_address(&flow->backend, &outer->key.destination))
		return 0;
	ticks = (__u32)bpf_jiffies64() - flow->touched_tick;
	if ((ticks < TOPOLB_FLOW_TOUCH_TICKS && !(inner->tcp_flags & TCP_SYN)) ||
	    topolb_follow_flow(ctx, inner, found.id, 0) != FLOW_OVER)
		return 1;
	close_flow(found.id, found.generation, config);
	return 0;
}

/* What to do with a wrapper. Returns UNWRAPPED, NOT_OURS, NOT_FROM_HERE, or a TC_ACT_*. */
static __always_inline int judge_wrapper(struct __sk_buff *ctx, const struct packet *outer,
					 struct unwrapping *unwrapping,
					 const struct topolb_settings *config)
{
	struct packet *inner = &unwrapping->inner;
	int kind = topolb_parse_wrapped(ctx, outer, inner);

	if (kind == PARSE_ICMP_ERROR)
		return topolb_is_about_backend(ctx, outer, inner) ? UNWRAPPED : NOT_OURS;
	if (kind != PARSE_TRANSPORT || (inner->fragment && fill_fragment_ports(inner)))
		return NOT_OURS;
	if (outer->ttl <= HANDED_BACK_TTL)
		return is_nodes_own(&outer->key.destination)
			       ? topolb_masquerade_flow(ctx, inner, &outer->key.source,
							&unwrapping->choice)
			       : NOT_OURS;
	if (has_wrapped_flow(ctx, outer, inner, config))
		return UNWRAPPED;
	return topolb_open_wrapped(ctx, outer, inner, &unwrapping->choice);
}

/* Takes a packet out of its wrapper: *packet becomes it. Returns UNWRAPPED or a TC_ACT_*. */
__noinline int topolb_unwrap(struct __sk_buff *ctx, struct packet *packet)
{
	struct topolb_settings *config = read_settings();
	struct unwrapping *unwrapping = new_unwrapping();
	__u32 length;
	int verdict;

	if (!is_dsr_on() || !packet || !unwrapping || !config || ctx->pkt_type != PACKET_HOST)
		return TC_ACT_UNSPEC;
	verdict = judge_wrapper(ctx, packet, unwrapping, config);
	if (verdict == NOT_OURS)
		return TC_ACT_UNSPEC;
	if (verdict == NOT_FROM_HERE)
		return hand_back(ctx, packet);
	if (verdict != UNWRAPPED)
		return verdict;
	length = wrapper_length(packet);
	if (bpf_skb_adjust_room(ctx, -(__s32)length, BPF_ADJ_ROOM_MAC,
				BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET)) {
		count_event(TOPOLB_EVENT_FAILED);
		return TC_ACT_SHOT;
	}
	*packet = unwrapping->inner;
	packet->l3_offset -= length;
	packet->l4_offset -= length;
	packet->is_unwrapped = 1;
	return UNWRAPPED;
}

#endif
