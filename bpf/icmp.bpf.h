/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP and ICMPv6 errors about packets of a flow: the embedded packet is one that the
 * error's receiver sent, seen after its translation, so it is found under the key of the
 * other direction and shown as its sender knows it. The sender of the error becomes the
 * frontend if it was the backend, or if it is on the far side of a masqueraded flow.
 * Source: RFC 5508, 4.2; RFC 4787, REQ-10.
 */
#ifndef TOPOLB_ICMP_BPF_H
#define TOPOLB_ICMP_BPF_H

#include "dsr.bpf.h"

#define ICMP_CHECKSUM_OFFSET 2

/* The packet that an ICMP error has at an offset: its addresses, ports and where they are. -1: it
 * is cut off before, or of no interest. @pre *inner is zero. */
static __noinline int parse_quotation(struct __sk_buff *ctx, const struct packet *outer,
				      __u32 offset, struct packet *inner)
{
	union {
		struct iphdr ipv4;
		struct ipv6hdr ipv6;
	} header;

	inner->l3_offset = offset;
	inner->is_ipv4 = outer->is_ipv4;
	if (outer->is_ipv4) {
		if (bpf_skb_load_bytes(ctx, inner->l3_offset, &header, sizeof(header.ipv4)) ||
		    header.ipv4.version != 4 || header.ipv4.ihl < 5 ||
		    header.ipv4.frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET))
			return -1;
		inner->key.source = ipv4_address(header.ipv4.saddr);
		inner->key.destination = ipv4_address(header.ipv4.daddr);
		inner->key.protocol = header.ipv4.protocol;
		inner->ttl = header.ipv4.ttl;
		inner->ipv4_checksum = header.ipv4.check;
		inner->l4_offset = inner->l3_offset + header.ipv4.ihl * 4;
	} else {
		if (bpf_skb_load_bytes(ctx, inner->l3_offset, &header, sizeof(header.ipv6)) ||
		    header.ipv6.version != 6)
			return -1;
		__builtin_memcpy(&inner->key.source, &header.ipv6.saddr, 16);
		__builtin_memcpy(&inner->key.destination, &header.ipv6.daddr, 16);
		inner->key.protocol = header.ipv6.nexthdr;
		inner->first_header = header.ipv6.nexthdr;
		inner->ttl = header.ipv6.hop_limit;
		inner->l4_offset = inner->l3_offset + sizeof(header.ipv6);
	}
	if (!is_forwarded_protocol(inner->key.protocol) ||
	    inner->l4_offset + EMBEDDED_TRANSPORT_LENGTH > outer->l3_offset + outer->l3_length)
		return -1;
	return bpf_skb_load_bytes(ctx, inner->l4_offset, &inner->key.source_port_be, 4);
}

/* The embedded packet. */
static __always_inline int parse_embedded(struct __sk_buff *ctx, const struct packet *outer,
					  struct packet *inner)
{
	return parse_quotation(ctx, outer, outer->l4_offset + ICMP_HEADER_LENGTH, inner);
}

/*
 * Rewrites the embedded packet. Returns what that adds to the ICMP checksum's sum.
 * A change of the addresses is evened out by the IPv4 header's checksum, or in UDP by
 * UDP's; what is truncated, or TCP's checksum (never verified: its data is cut off),
 * stays as it was.
 */
static __noinline int rewrite_embedded(struct __sk_buff *ctx, const struct packet *inner,
				       const struct topolb_flow_key *to, __u16 *ret_change)
{
	__u64 addresses = sum_of_addresses_change(inner, to);
	__u64 ports = sum_of_change(ports_of(&inner->key), ports_of(to));
	__u64 change = ports;

	if (inner->key.protocol == IPPROTO_UDP) {
		__u32 offset = inner->l4_offset + UDP_CHECKSUM_OFFSET;
		__u16 checksum, fixed;

		if (bpf_skb_load_bytes(ctx, offset, &checksum, sizeof(checksum)))
			return -1;
		if (checksum) {
			fixed = negative_of((__u16)~checksum + addresses + ports);
			if (!fixed)
				fixed = 0xffff;
			if (bpf_skb_store_bytes(ctx, offset, &fixed, sizeof(fixed), 0))
				return -1;
			change += sum_of_change(checksum, fixed);
		}
	}
	if (inner->is_ipv4) {
		if (write_ipv4_header(ctx, inner, to, inner->ttl, addresses))
			return -1;
	} else {
		if (write_ipv6_header(ctx, inner, to, inner->ttl, 0))
			return -1;
		change += addresses;
	}
	*ret_change = fold_sum(change);
	return bpf_skb_store_bytes(ctx, inner->l4_offset, &to->source_port_be, 4, 0);
}

/* Rewrites what is outside of the embedded packet: `change` is what that one brought. */
static __always_inline int rewrite_outer(struct __sk_buff *ctx, const struct packet *outer,
					 const struct topolb_flow_key *to, __u8 ttl, __u16 change)
{
	__u32 checksum = outer->l4_offset + ICMP_CHECKSUM_OFFSET;
	__u16 moved;

	if (bpf_l4_csum_replace(ctx, checksum, 0, change, 0))
		return -1;
	moved = fold_sum(sum_of_addresses_change(outer, to));
	if (outer->is_ipv4)
		return write_ipv4_header(ctx, outer, to, ttl, moved);
	if (bpf_l4_csum_replace(ctx, checksum, 0, moved, BPF_F_PSEUDO_HDR))
		return -1;
	return write_ipv6_header(ctx, outer, to, ttl, BPF_F_RECOMPUTE_CSUM);
}

/* The flow whose packets in the error's direction have this key. */
static __noinline int find_step(const struct topolb_flow_key *key,
				const struct topolb_settings *config, struct step *step)
{
	struct found_flow found = find_replys_flow(key, config);
	int is_reply = found.flow != NULL;

	if (!found.flow)
		found = find_clients_flow(key);
	if (!found.flow)
		return -1;
	fill_step(&found, is_reply, config, step);
	return is_still_there(&found) ? 0 : -1;
}

/*
 * An ICMP error on its way in or out. The packets in its direction tell whom it is for: the
 * embedded packet, turned around, is one of them. Returns a TC_ACT_*.
 */
__noinline int topolb_translate_icmp_error(struct __sk_buff *ctx, const struct packet *outer,
					   int is_egress)
{
	struct topolb_settings *config = read_settings();

	if (!outer || !config)
		return TC_ACT_UNSPEC;

	struct packet inner = {};
	struct step step = {};
	struct topolb_hop *hop;
	__u16 change = 0;
	__u8 ttl = outer->ttl;

	if (parse_embedded(ctx, outer, &inner))
		return TC_ACT_UNSPEC;
	/* Turned in place: the stack has no room for another key. */
	turn_around(&inner.key);
	/* Replies of flows that are not masqueraded are translated on their way out. */
	if (find_step(&inner.key, config, &step) ||
	    is_egress != (step.is_reply && !(step.flags & STEP_MASQUERADED)))
		return TC_ACT_UNSPEC;
	turn_around(&inner.key);
	if (is_dsr_on() && step.flags & STEP_DIRECT)
		step.to.source = *wrapper_source(outer, config);
	hop = step.flags & (STEP_MASQUERADED | STEP_DIRECT) ? hop_of(ctx, &step) : NULL;
	if (step.flags & (STEP_MASQUERADED | STEP_DIRECT) && (ttl <= 1 || !hop))
		return TC_ACT_SHOT; /* no error about an error */
	if (is_dsr_on() && step.flags & STEP_DIRECT)
		return !hop || topolb_wrap(ctx, outer, &step.to) ? TC_ACT_SHOT : redirect_to(hop);
	turn_around(&step.to);
	if (rewrite_embedded(ctx, &inner, &step.to, &change))
		return TC_ACT_SHOT;
	turn_around(&step.to);
	if (!(step.flags & STEP_MASQUERADED) &&
	    !same_address(&outer->key.source, &inner.key.destination))
		step.to.source = outer->key.source;
	if (rewrite_outer(ctx, outer, &step.to, hop ? ttl - 1 : ttl, change))
		return TC_ACT_SHOT;
	if (!hop)
		return TC_ACT_UNSPEC;
	if (drop_vlan_tags(ctx, outer))
		return TC_ACT_SHOT;
	return redirect_to(hop);
}

#endif
