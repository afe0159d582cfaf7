/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rewrites addresses and ports of a packet with every checksum kept as it was: right
 * ones right, offloaded ones (CHECKSUM_PARTIAL) offloaded, bad ones bad for the receiver
 * to find. Writes through helpers only: a direct write would make the kernel copy every
 * cloned packet before the program runs, also those that are left alone.
 *
 * Sums are one's complement sums of words as they lie in the packet; they do not depend
 * on byte order.
 */
#ifndef TOPOLB_NAT_BPF_H
#define TOPOLB_NAT_BPF_H

#include "parse.bpf.h"

#define TCP_CHECKSUM_OFFSET 16
#define UDP_CHECKSUM_OFFSET 6

static __always_inline __u32 add_to_sum(__u32 sum, __u32 word)
{
	__u64 wide = (__u64)sum + word;

	return (__u32)wide + (__u32)(wide >> 32);
}

static __always_inline __u32 sum_of_change(__u32 sum, __u32 from, __u32 to)
{
	return add_to_sum(add_to_sum(sum, ~from), to);
}

static __always_inline __u16 fold_sum(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static __always_inline __u32 sum_of_address_change(__u32 sum, const struct topolb_address *from,
						   const struct topolb_address *to)
{
	const __u32 *x = (const __u32 *)from, *y = (const __u32 *)to;

	for (int i = 0; i < 4; i++)
		sum = sum_of_change(sum, x[i], y[i]);
	return sum;
}

static __always_inline __u32 ports_of(const struct topolb_flow_key *key)
{
	return *(const __u32 *)&key->source_port_be;
}

static __always_inline int fix_transport_checksum(struct __sk_buff *ctx,
						  const struct packet *packet,
						  const struct topolb_flow_key *to, __u32 change)
{
	__u32 offset = packet->l4_offset, flags = 0;

	if (packet->key.protocol == IPPROTO_TCP) {
		offset += TCP_CHECKSUM_OFFSET;
	} else {
		offset += UDP_CHECKSUM_OFFSET;
		flags = BPF_F_MARK_MANGLED_0; /* UDP: 0 means no checksum, and stays */
	}
	if (bpf_l4_csum_replace(ctx, offset, 0, change, flags | BPF_F_PSEUDO_HDR))
		return -1;
	if (ports_of(&packet->key) == ports_of(to))
		return 0;
	if (bpf_l4_csum_replace(ctx, offset, ports_of(&packet->key), ports_of(to), flags | 4))
		return -1;
	return bpf_skb_store_bytes(ctx, packet->l4_offset, &to->source_port_be, 4, 0);
}

static __always_inline int write_ipv4_header(struct __sk_buff *ctx, const struct packet *packet,
					     const struct topolb_flow_key *to, __u8 ttl,
					     __u32 change)
{
	struct {
		__u8 ttl;
		__u8 protocol;
		__u16 checksum;
		__be32 source;
		__be32 destination;
	} header = {
		.ttl = ttl,
		.protocol = packet->key.protocol,
		.source = ipv4_of(&to->source),
		.destination = ipv4_of(&to->destination),
	};
	__u32 sum = (__u16)~packet->ipv4_checksum + (__u32)fold_sum(change);

	/* The TTL is the first byte of its word. */
	sum = sum_of_change(sum, bpf_htons(packet->ttl << 8), bpf_htons(ttl << 8));
	header.checksum = ~fold_sum(sum);
	return bpf_skb_store_bytes(ctx, packet->l3_offset + offsetof(struct iphdr, ttl), &header,
				   sizeof(header), 0);
}

/*
 * An IPv6 header has no checksum of its own to even out the change of the addresses, so
 * skb->csum must follow: the helper of the transport checksum takes the change out of it
 * (as if the header had one), and this store puts it in.
 */
static __always_inline int write_ipv6_header(struct __sk_buff *ctx, const struct packet *packet,
					     const struct topolb_flow_key *to, __u8 hop_limit,
					     __u64 flags)
{
	struct {
		__u16 word; /* next header, hop limit */
		struct topolb_address source;
		struct topolb_address destination;
	} __attribute__((packed)) header = {
		.word = bpf_htons((__u16)(packet->first_header << 8 | hop_limit)),
		.source = to->source,
		.destination = to->destination,
	};

	return bpf_skb_store_bytes(ctx, packet->l3_offset + offsetof(struct ipv6hdr, nexthdr),
				   &header, sizeof(header), flags);
}

/* As far as the checksum of either protocol. */
struct transport_start {
	__be16 source_port_be;
	__be16 destination_port_be;
	__u16 words[TCP_CHECKSUM_OFFSET / 2 - 2]; /* TCP: sequence numbers, flags, window */
	__u16 tcp_checksum;
};
#define UDP_CHECKSUM_WORD (UDP_CHECKSUM_OFFSET / 2 - 2)

/* From the TTL on, in a packet without options. */
struct ipv4_start {
	__u8 ttl;
	__u8 protocol;
	__u16 checksum;
	__be32 source;
	__be32 destination;
	struct transport_start transport;
};

/* From the payload length on, in a packet without extension headers. */
struct ipv6_start {
	__be16 payload_length;
	__u8 next_header;
	__u8 hop_limit;
	struct topolb_address source;
	struct topolb_address destination;
	struct transport_start transport;
};

/* Copies the start of the transport header if it is in the linear part. */
static __always_inline int copy_transport(const struct __sk_buff *ctx, const struct packet *packet,
					  struct transport_start *ret_start)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 offset = packet->l4_offset;

	if (offset > 128)
		return -1;
	data += offset;
	if (packet->key.protocol == IPPROTO_TCP) {
		if (data + sizeof(*ret_start) > end)
			return -1;
		__builtin_memcpy(ret_start, data, sizeof(*ret_start));
	} else {
		if (data + sizeof(struct udphdr) > end)
			return -1;
		__builtin_memcpy(ret_start, data, sizeof(struct udphdr));
	}
	return 0;
}

/*
 * The checksum after the ports have changed too. Whether it is one, or the start of one that
 * the device completes (which has no ports in it), shows in how the helper has changed it:
 * it takes `change` out of the one, and adds it to the other. @pre change is not 0.
 */
static __always_inline __u16 add_ports(__u16 before, __u16 after, __u32 change, __u32 ports)
{
	__u16 started = fold_sum(add_to_sum(before, fold_sum(change)));

	if (started % 0xffff == after % 0xffff) /* 0 is 0xffff */
		return after;
	return ~fold_sum(add_to_sum((__u16)~after, ports));
}

/* Fixes checksum and ports in *start, and the checksum in the packet half way. */
static __always_inline int prepare_transport(struct __sk_buff *ctx, const struct packet *packet,
					     const struct topolb_flow_key *to, __u32 change,
					     struct transport_start *start)
{
	__u32 is_tcp = packet->key.protocol == IPPROTO_TCP;
	__u32 ports = sum_of_change(0, ports_of(&packet->key), ports_of(to));
	__u16 before = is_tcp ? start->tcp_checksum : start->words[UDP_CHECKSUM_WORD], after;

	if (bpf_l4_csum_replace(
		    ctx, packet->l4_offset + (is_tcp ? TCP_CHECKSUM_OFFSET : UDP_CHECKSUM_OFFSET),
		    0, change, (is_tcp ? 0 : BPF_F_MARK_MANGLED_0) | BPF_F_PSEUDO_HDR) ||
	    copy_transport(ctx, packet, start))
		return -1;
	after = is_tcp ? start->tcp_checksum : start->words[UDP_CHECKSUM_WORD];
	if (is_tcp)
		start->tcp_checksum = add_ports(before, after, change, ports);
	else if (before) /* UDP: 0 means no checksum, and stays */
		start->words[UDP_CHECKSUM_WORD] = add_ports(before, after, change, ports) ?: 0xffff;
	*(__u32 *)&start->source_port_be = ports_of(to);
	return 0;
}

#define NOT_PLAIN 1

/* rewrite() for plain headers: two helper calls instead of four or five, which are most of
 * what a packet of an established flow costs. */
static __always_inline int rewrite_plain_ipv4(struct __sk_buff *ctx, const struct packet *packet,
					      const struct topolb_flow_key *to, __u8 ttl,
					      __u32 change)
{
	struct ipv4_start start = {
		.ttl = ttl,
		.protocol = packet->key.protocol,
		.source = ipv4_of(&to->source),
		.destination = ipv4_of(&to->destination),
	};
	__u32 sum = (__u16)~packet->ipv4_checksum + (__u32)fold_sum(change);

	if (copy_transport(ctx, packet, &start.transport))
		return NOT_PLAIN;
	if (prepare_transport(ctx, packet, to, change, &start.transport))
		return -1;
	sum = sum_of_change(sum, bpf_htons(packet->ttl << 8), bpf_htons(ttl << 8));
	start.checksum = ~fold_sum(sum);
	if (packet->key.protocol == IPPROTO_TCP)
		return bpf_skb_store_bytes(
			ctx, packet->l3_offset + offsetof(struct iphdr, ttl), &start,
			offsetof(struct ipv4_start, transport) + sizeof(struct transport_start), 0);
	return bpf_skb_store_bytes(ctx, packet->l3_offset + offsetof(struct iphdr, ttl), &start,
				   offsetof(struct ipv4_start, transport) + sizeof(struct udphdr),
				   0);
}

static __always_inline int rewrite_plain_ipv6(struct __sk_buff *ctx, const struct packet *packet,
					      const struct topolb_flow_key *to, __u8 hop_limit,
					      __u32 change)
{
	struct ipv6_start start = {
		.payload_length = bpf_htons(packet->l3_length - sizeof(struct ipv6hdr)),
		.next_header = packet->first_header,
		.hop_limit = hop_limit,
		.source = to->source,
		.destination = to->destination,
	};
	__u32 offset = packet->l3_offset + offsetof(struct ipv6hdr, payload_len);

	if (copy_transport(ctx, packet, &start.transport))
		return NOT_PLAIN;
	if (prepare_transport(ctx, packet, to, change, &start.transport))
		return -1;
	if (packet->key.protocol == IPPROTO_TCP)
		return bpf_skb_store_bytes(ctx, offset, &start,
					   offsetof(struct ipv6_start, transport) +
						   sizeof(struct transport_start),
					   BPF_F_RECOMPUTE_CSUM);
	return bpf_skb_store_bytes(ctx, offset, &start,
				   offsetof(struct ipv6_start, transport) + sizeof(struct udphdr),
				   BPF_F_RECOMPUTE_CSUM);
}

/* rewrite() for any packet: options, extension headers, fragments. */
__noinline int topolb_rewrite_any(struct __sk_buff *ctx, const struct packet *packet,
				  const struct topolb_flow_key *to, __u32 ttl)
{
	__u32 change;

	if (!packet || !to)
		return -1;
	change = sum_of_address_change(0, &packet->key.source, &to->source);
	change = sum_of_address_change(change, &packet->key.destination, &to->destination);
	if (packet->fragment != FRAGMENT_LATER && fix_transport_checksum(ctx, packet, to, change))
		return -1;
	if (packet->is_ipv4)
		return write_ipv4_header(ctx, packet, to, ttl, change);
	return write_ipv6_header(ctx, packet, to, ttl, BPF_F_RECOMPUTE_CSUM);
}

/* Addresses, ports and TTL of the packet become those given. -1: it is unusable now. */
static __always_inline int rewrite(struct __sk_buff *ctx, const struct packet *packet,
				   const struct topolb_flow_key *to, __u8 ttl)
{
	__u32 change = sum_of_address_change(0, &packet->key.source, &to->source);
	__u32 header = packet->is_ipv4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	int result = NOT_PLAIN;

	change = sum_of_address_change(change, &packet->key.destination, &to->destination);
	if (!packet->fragment && packet->l4_offset == packet->l3_offset + header &&
	    fold_sum(change) % 0xffff)
		result = packet->is_ipv4 ? rewrite_plain_ipv4(ctx, packet, to, ttl, change)
					 : rewrite_plain_ipv6(ctx, packet, to, ttl, change);
	return result == NOT_PLAIN ? topolb_rewrite_any(ctx, packet, to, ttl) : result;
}

#endif
