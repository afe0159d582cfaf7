/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Direct server return, on the node that was dialled: a client's packet goes to the backend as it
 * came, in an IP packet of the same family from this node to the backend (RFC 2003, RFC 2473);
 * the backend's node takes it out (unwrap.bpf.h) and answers the client itself. The flow is
 * kept here for the client's direction alone. docs/decisions/0041.
 */
#ifndef TOPOLB_DSR_BPF_H
#define TOPOLB_DSR_BPF_H

#include "route.bpf.h"

#define WRAPPER_TTL 64
/* Of a wrapper that its receiver hands back (unwrap.bpf.h): it has this or less when it arrives,
 * others have more. So nobody hands one back that was handed back. */
#define HANDED_BACK_TTL 32
/* Not the congestion mark: routers on the way are to drop instead, as the receiver of the wrapper
 * hands no mark on. Source: RFC 6040, 4.3, compatibility mode. */
#define IPV4_DSCP 0xfc
#define IPV6_ECN 0x00300000

static __always_inline __u32 wrapper_length(const struct packet *packet)
{
	return ip_header_length(packet);
}

/*
 * The wrapper comes from the address that was dialled if a NodePort was: so its receiver knows
 * that this node has it. A load balancer's address may be every node's own.
 */
static __always_inline const struct topolb_address *
wrapper_source(const struct packet *packet, const struct topolb_settings *config)
{
	if (is_node_port(packet->key.destination_port_be, config) &&
	    is_nodes_own(&packet->key.destination))
		return &packet->key.destination;
	return masquerade_address(node_masquerade(packet->is_ipv4, config), config);
}

/* What does not fit is to be cut into segments, which will be told their lengths. */
static __always_inline __be16 wrapped_length(__u32 length)
{
	return length > 0xffff ? 0 : bpf_htons((__u16)length);
}

static __always_inline int write_ipv4_wrapper(struct __sk_buff *ctx, __u32 first_word, __u32 length,
					      const struct topolb_flow_key *to)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = sizeof(ip) / 4,
		.tos = (bpf_ntohl(first_word) >> 16) & IPV4_DSCP,
		.tot_len = wrapped_length(length + sizeof(ip)),
		.frag_off = bpf_htons(IPV4_DONT_FRAGMENT),
		.ttl = WRAPPER_TTL,
		.protocol = IPPROTO_IPIP,
		.saddr = ipv4_of(&to->source),
		.daddr = ipv4_of(&to->destination),
	};

	ip.check = negative_of(bpf_csum_diff(NULL, 0, (__be32 *)&ip, sizeof(ip), 0));
	return bpf_skb_store_bytes(ctx, ETH_HLEN, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM);
}

/* With the flow label of the packet: routers may spread by it. Source: RFC 6438. */
static __always_inline int write_ipv6_wrapper(struct __sk_buff *ctx, __u32 first_word, __u32 length,
					      const struct topolb_flow_key *to)
{
	struct {
		__u32 first_word;
		__be16 length;
		__u8 protocol;
		__u8 hop_limit;
		struct topolb_address source;
		struct topolb_address destination;
	} ip = {
		.first_word = first_word & bpf_htonl(~IPV6_ECN),
		.length = wrapped_length(length),
		.protocol = IPPROTO_IPV6,
		.hop_limit = WRAPPER_TTL,
		.source = to->source,
		.destination = to->destination,
	};

	return bpf_skb_store_bytes(ctx, ETH_HLEN, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM);
}

/* Takes a hop of the packet's way, and wraps it from and to the addresses given. -1: it is unusable
 * now. */
__noinline int topolb_wrap(struct __sk_buff *ctx, const struct packet *packet,
			   const struct topolb_flow_key *to)
{
	if (!is_dsr_on() || !packet || !to)
		return -1;

	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | (packet->is_ipv4 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV4
								  : BPF_F_ADJ_ROOM_ENCAP_L3_IPV6);
	__u32 first_word;

	if (bpf_skb_load_bytes(ctx, packet->l3_offset, &first_word, sizeof(first_word)))
		return -1;
	if (packet->is_ipv4) {
		if (write_ipv4_header(ctx, packet, &packet->key, packet->ttl - 1, 0))
			return -1;
	} else if (write_ipv6_header(ctx, packet, &packet->key, packet->ttl - 1,
				     BPF_F_RECOMPUTE_CSUM)) {
		return -1;
	}
	if (drop_vlan_tags(ctx, packet) ||
	    bpf_skb_adjust_room(ctx, wrapper_length(packet), BPF_ADJ_ROOM_MAC, flags))
		return -1;
	return packet->is_ipv4 ? write_ipv4_wrapper(ctx, first_word, packet->l3_length, to)
			       : write_ipv6_wrapper(ctx, first_word, packet->l3_length, to);
}

/* Sends a packet of a flow on: through the stack or by its own route. Returns a TC_ACT_*. */
static __always_inline int send(struct __sk_buff *ctx, const struct packet *packet,
				struct step *step, const struct topolb_settings *config)
{
	__u32 overhead = 0;
	struct topolb_hop *hop = NULL;
	__u8 ttl = packet->ttl;
	int failed;

	if (is_dsr_on() && step->flags & STEP_DIRECT) {
		step->to.source = *wrapper_source(packet, config);
		overhead = wrapper_length(packet);
	}
	if (step->flags & (STEP_MASQUERADED | STEP_DIRECT)) {
		int action;

		hop = hop_of(ctx, step);
		action = check_route(ctx, packet, step, hop, overhead);
		if (action != ROUTE_READY)
			return action;
		ttl--;
	}
	if (is_dsr_on() && step->flags & STEP_DIRECT)
		failed = topolb_wrap(ctx, packet, &step->to);
	else
		failed = rewrite(ctx, packet, &step->to, ttl) ||
			 (hop && drop_vlan_tags(ctx, packet));
	if (failed) {
		count_event(TOPOLB_EVENT_FAILED);
		return TC_ACT_SHOT;
	}
	return hop ? redirect_to(hop) : TC_ACT_UNSPEC;
}

#endif
