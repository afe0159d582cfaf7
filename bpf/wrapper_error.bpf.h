/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Direct server return, on the node that was dialled: ICMP errors about the wrappers that it sent
 * (dsr.bpf.h). They quote the wrapper, and the client's packet as far as their sender had room.
 * What a router says is told to the client, about its packet. A receiver that knows no wrappers
 * refuses them (its node is without --dsr, say): its flow goes on masqueraded.
 * Sources: RFC 2003, 4; RFC 2473, 8.
 */
#ifndef TOPOLB_WRAPPER_ERROR_BPF_H
#define TOPOLB_WRAPPER_ERROR_BPF_H

#include "unwrap.bpf.h"

#define ICMP_PROTOCOL_UNREACH 2
#define IPV4_LEAST_MTU 68 /* RFC 791 */

/* What an error says, before what it quotes. */
struct icmp_head {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__be32 rest; /* the MTU, in ICMP its lower half */
};

enum { WRAPPER_LOST, WRAPPER_UNREACHABLE, WRAPPER_TOO_BIG, WRAPPER_REFUSED };

static __always_inline int kind_of_wrapper_error(int is_ipv4, const struct icmp_head *head)
{
	if (is_ipv4) {
		if (head->type != ICMP_DEST_UNREACH)
			return WRAPPER_LOST;
		if (head->code == ICMP_FRAG_NEEDED)
			return WRAPPER_TOO_BIG;
		return head->code == ICMP_PROTOCOL_UNREACH || head->code == ICMP_PORT_UNREACH
			       ? WRAPPER_REFUSED
			       : WRAPPER_UNREACHABLE;
	}
	switch (head->type) {
	case ICMPV6_PKT_TOOBIG:
		return WRAPPER_TOO_BIG;
	case ICMPV6_PARAMPROB:
		return head->code == ICMPV6_UNK_NEXTHDR ? WRAPPER_REFUSED : WRAPPER_LOST;
	case ICMPV6_DEST_UNREACH:
		return head->code == ICMPV6_PORT_UNREACH ? WRAPPER_REFUSED : WRAPPER_UNREACHABLE;
	}
	return WRAPPER_LOST;
}

/* What an error quotes: the receiver of the wrapper, and the packet in it. -1: no wrapper of
 * this node. @pre *inner is zero. */
static __noinline int parse_quoted_wrapper(struct __sk_buff *ctx, const struct packet *error,
					   struct packet *inner, struct topolb_address *receiver)
{
	__u32 offset = error->l4_offset + ICMP_HEADER_LENGTH;
	union {
		struct iphdr ipv4;
		struct ipv6hdr ipv6;
	} __attribute__((aligned(8))) header; /* read as a topolb_address, too */

	if (error->is_ipv4) {
		if (bpf_skb_load_bytes(ctx, offset, &header, sizeof(header.ipv4)) ||
		    header.ipv4.version != 4 || header.ipv4.ihl != sizeof(header.ipv4) / 4 ||
		    header.ipv4.protocol != IPPROTO_IPIP ||
		    header.ipv4.frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET) ||
		    header.ipv4.saddr != ipv4_of(&error->key.destination))
			return -1;
		*receiver = ipv4_address(header.ipv4.daddr);
	} else {
		if (bpf_skb_load_bytes(ctx, offset, &header, sizeof(header.ipv6)) ||
		    header.ipv6.version != 6 || header.ipv6.nexthdr != IPPROTO_IPV6 ||
		    !same_address((const struct topolb_address *)&header.ipv6.saddr,
				  &error->key.destination))
			return -1;
		__builtin_memcpy(receiver, &header.ipv6.daddr, sizeof(*receiver));
	}
	return parse_quotation(ctx, error, offset + wrapper_length(error), inner);
}

/*
 * The error becomes one about what the wrapper holds, from this node to the client: the wrapper's
 * header is cut out, and the checksum is as right or wrong as it was. Returns a TC_ACT_*.
 */
__noinline int topolb_tell_client(struct __sk_buff *ctx, const struct packet *error,
				  struct packet *inner, const struct icmp_head *told,
				  const struct topolb_hop *hop)
{
	struct {
		struct icmp_head head;
		__u8 wrapper[sizeof(struct ipv6hdr)];
	} before = {};
	struct icmp_head head;
	__u8 protocol;
	__u32 length;
	__u64 sum;

	if (!is_dsr_on() || !error || !inner || !told || !hop ||
	    bpf_skb_load_bytes(ctx, error->l4_offset, &before,
			       sizeof(before.head) + sizeof(struct iphdr)))
		return TC_ACT_SHOT;
	if (!error->is_ipv4 && bpf_skb_load_bytes(ctx, error->l4_offset, &before, sizeof(before)))
		return TC_ACT_SHOT;
	length = error->l3_offset + error->l3_length - error->l4_offset;
	protocol = error->key.protocol;
	head = *told;
	head.checksum = 0;
	sum = sum_of_change(bpf_csum_diff(NULL, 0, (__be32 *)&before, sizeof(before), 0),
			    bpf_csum_diff(NULL, 0, (__be32 *)&head, sizeof(head), 0));
	if (!error->is_ipv4) {
		const struct topolb_address *node = &error->key.destination;

		sum += sum_of_change(sum_of_pseudo_header(error, node, protocol, length),
				     sum_of_pseudo_header(inner, node, protocol,
							  length - wrapper_length(error)));
	}
	head.checksum = negative_of(sum);
	inner->l3_offset = ETH_HLEN;
	/* Of the headers of both, one fits where the other was. */
	if (drop_vlan_tags(ctx, error) ||
	    bpf_skb_adjust_room(ctx, -(__s32)(error->l4_offset - ETH_HLEN), BPF_ADJ_ROOM_MAC, 0) ||
	    write_reply_header(ctx, inner, &error->key.destination, protocol,
			       length - wrapper_length(error)) ||
	    bpf_skb_store_bytes(ctx, ETH_HLEN + wrapper_length(error), &head, sizeof(head), 0)) {
		count_event(TOPOLB_EVENT_FAILED);
		return TC_ACT_SHOT;
	}
	return redirect_to(hop);
}

/* An ICMP error that may be about a wrapper of this node's. Returns NOT_OURS or a TC_ACT_*. */
__noinline int topolb_meet_wrapper_error(struct __sk_buff *ctx, const struct packet *error)
{
	struct topolb_settings *config = read_settings();
	struct unwrapping *unwrapping = new_unwrapping();
	struct topolb_address receiver;
	struct found_flow found;
	struct step step = {};
	struct icmp_head head;
	struct topolb_hop *hop;
	__u32 kind, mtu;

	if (!is_dsr_on() || !error || !config || !unwrapping || error->l3_offset != ETH_HLEN ||
	    !is_nodes_own(&error->key.destination) ||
	    parse_quoted_wrapper(ctx, error, &unwrapping->inner, &receiver) ||
	    bpf_skb_load_bytes(ctx, error->l4_offset, &head, sizeof(head)))
		return NOT_OURS;
	found = find_clients_flow(&unwrapping->inner.key);
	if (!found.flow || !is_direct(found.flow->state) ||
	    !same_address(&found.flow->backend, &receiver))
		return NOT_OURS;
	kind = kind_of_wrapper_error(error->is_ipv4, &head);
	if (kind == WRAPPER_REFUSED) {
		count_event(TOPOLB_EVENT_DIRECT_REFUSED);
		/* A connection would not survive another client's address. */
		if (found.flow->protocol == IPPROTO_TCP && found.flow->state & TOPOLB_FLOW_REPLIED)
			return NOT_OURS;
		topolb_masquerade_flow(ctx, &unwrapping->inner, &receiver, &unwrapping->choice);
		return TC_ACT_SHOT; /* the client sends it again */
	}
	mtu = bpf_ntohl(head.rest) & (error->is_ipv4 ? 0xffff : 0xffffffff);
	if (kind == WRAPPER_LOST ||
	    (kind == WRAPPER_TOO_BIG && mtu < IPV4_LEAST_MTU + wrapper_length(error)))
		return NOT_OURS;
	head.rest = kind == WRAPPER_TOO_BIG ? bpf_htonl(mtu - wrapper_length(error)) : 0;
	fill_step(&found, 1, config, &step);
	hop = hop_of(ctx, &step);
	if (!hop) {
		count_event(TOPOLB_EVENT_NO_ROUTE);
		return TC_ACT_SHOT;
	}
	return topolb_tell_client(ctx, error, &unwrapping->inner, &head, hop);
}

#endif
