/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rewrites addresses and ports of a packet with every checksum kept as it was: right
 * ones right, offloaded ones (CHECKSUM_PARTIAL) offloaded, bad ones bad for the receiver
 * to find. Plain packets are written in place: the kernel makes cloned ones writable before the
 * program runs, which copies nothing of what TCP sends (docs/decisions/0025). All others are
 * written through helpers.
 *
 * Sums are one's complement sums of words as they lie in the packet; they do not depend
 * on byte order. In 64 bits the carries gather above the words, to be folded at the end.
 */
#ifndef TOPOLB_NAT_BPF_H
#define TOPOLB_NAT_BPF_H

#include "parse.bpf.h"

#define TCP_CHECKSUM_OFFSET 16
#define UDP_CHECKSUM_OFFSET 6

static __always_inline __u64 sum_of_change(__u32 from, __u32 to)
{
	return (__u64)(__u32)~from + to;
}

/* A number and itself with its halves exchanged add up to the sum of the halves in the upper one,
 * to which the lower one has carried what went beyond. */
static __always_inline __u16 fold_sum(__u64 sum)
{
	__u32 word = (sum + (sum << 32 | sum >> 32)) >> 32;

	return (word + (word << 16 | word >> 16)) >> 16;
}

/* A checksum is the negative of what it sums up. */
static __always_inline __u16 negative_of(__u64 sum)
{
	return ~fold_sum(sum);
}

static __always_inline __u64 sum_of_address_change(const struct topolb_address *from,
						   const struct topolb_address *to)
{
	const __u32 *x = (const __u32 *)from, *y = (const __u32 *)to;

	return sum_of_change(x[0], y[0]) + sum_of_change(x[1], y[1]) + sum_of_change(x[2], y[2]) +
	       sum_of_change(x[3], y[3]);
}

/* Of both addresses; those of IPv4 differ in the last word only. */
static __always_inline __u64 sum_of_addresses_change(const struct packet *packet,
						     const struct topolb_flow_key *to)
{
	const struct topolb_flow_key *from = &packet->key;

	if (packet->is_ipv4)
		return sum_of_change(ipv4_of(&from->source), ipv4_of(&to->source)) +
		       sum_of_change(ipv4_of(&from->destination), ipv4_of(&to->destination));
	return sum_of_address_change(&from->source, &to->source) +
	       sum_of_address_change(&from->destination, &to->destination);
}

static __always_inline __u32 ports_of(const struct topolb_flow_key *key)
{
	return *(const __u32 *)&key->source_port_be;
}

static __always_inline int fix_transport_checksum(struct __sk_buff *ctx,
						  const struct packet *packet,
						  const struct topolb_flow_key *to, __u16 change)
{
	__u32 offset = packet->l4_offset, flags = 0;
	__u16 checksum;

	if (packet->key.protocol == IPPROTO_TCP) {
		offset += TCP_CHECKSUM_OFFSET;
	} else {
		offset += UDP_CHECKSUM_OFFSET;
		flags = BPF_F_MARK_MANGLED_0; /* UDP: 0 means no checksum, and stays */
		if (bpf_skb_load_bytes(ctx, offset, &checksum, sizeof(checksum)))
			return -1;
		if (!checksum) /* nothing evens out the change of the ports */
			return bpf_skb_store_bytes(ctx, packet->l4_offset, &to->source_port_be, 4,
						   BPF_F_RECOMPUTE_CSUM);
	}
	if (bpf_l4_csum_replace(ctx, offset, 0, change, flags | BPF_F_PSEUDO_HDR))
		return -1;
	if (ports_of(&packet->key) == ports_of(to))
		return 0;
	if (bpf_l4_csum_replace(ctx, offset, ports_of(&packet->key), ports_of(to), flags | 4))
		return -1;
	return bpf_skb_store_bytes(ctx, packet->l4_offset, &to->source_port_be, 4, 0);
}

/* The header's checksum with another TTL and a change of its addresses. */
static __always_inline __u16 ipv4_checksum_of(const struct packet *packet, __u8 ttl, __u64 change)
{
	/* The TTL is the first byte of its word. */
	return negative_of((__u16)~packet->ipv4_checksum + change +
			   sum_of_change(bpf_htons(packet->ttl << 8), bpf_htons(ttl << 8)));
}

static __always_inline int write_ipv4_header(struct __sk_buff *ctx, const struct packet *packet,
					     const struct topolb_flow_key *to, __u8 ttl,
					     __u64 change)
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

	header.checksum = ipv4_checksum_of(packet, ttl, change);
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

/* rewrite() for any packet: options, extension headers, fragments. */
__noinline int topolb_rewrite_any(struct __sk_buff *ctx, const struct packet *packet,
				  const struct topolb_flow_key *to, __u32 ttl)
{
	__u16 change;

	if (!packet || !to)
		return -1;
	change = fold_sum(sum_of_addresses_change(packet, to));
	if (packet->fragment != FRAGMENT_LATER && fix_transport_checksum(ctx, packet, to, change))
		return -1;
	if (packet->is_ipv4)
		return write_ipv4_header(ctx, packet, to, ttl, change);
	return write_ipv6_header(ctx, packet, to, ttl, BPF_F_RECOMPUTE_CSUM);
}

/* The headers of a plain packet: no options, extension headers, fragments. */
struct plain_headers {
	void *ip;
	__u32 *ports; /* both */
	__u16 *checksum;
};

/* Where they are; they were in the linear part when they were parsed. -1: no longer. */
static __always_inline int find_plain_headers(const struct __sk_buff *ctx,
					      const struct packet *packet,
					      struct plain_headers *headers)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 offset = packet->l3_offset;

	if (offset > ETH_HLEN + 2 * VLAN_HEADER_LENGTH)
		return -1;
	data += offset;
	headers->ip = data;
	data += packet->is_ipv4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	headers->ports = data;
	if (packet->key.protocol == IPPROTO_TCP) {
		headers->checksum = data + TCP_CHECKSUM_OFFSET;
		return data + TCP_CHECKSUM_OFFSET + sizeof(__u16) > end ? -1 : 0;
	}
	headers->checksum = data + UDP_CHECKSUM_OFFSET;
	return data + UDP_CHECKSUM_OFFSET + sizeof(__u16) > end ? -1 : 0;
}

/*
 * What the checksum field holds if the device is to complete it: the sum of the pseudo header.
 * Without the ::ffff: of mapped addresses, which are not in IPv4's.
 */
static __always_inline __u16 sum_left_to_device(const struct packet *packet)
{
	const __u32 *source = (const __u32 *)&packet->key.source;
	const __u32 *destination = (const __u32 *)&packet->key.destination;
	__u64 sum = bpf_htonl(packet->l3_length + packet->l3_offset - packet->l4_offset);

	sum += (__u64)bpf_htonl(packet->key.protocol) + source[3] + destination[3];
	for (int i = 0; !packet->is_ipv4 && i < 3; i++)
		sum += (__u64)source[i] + destination[i];
	return fold_sum(sum);
}

enum {
	CHECKSUM_WHOLE,	  /* of the segment, or wrong */
	CHECKSUM_STARTED, /* the device completes it */
	CHECKSUM_EITHER,
};

/*
 * A program can't see whether the device is to complete a checksum; but then the field holds
 * something that a whole checksum is once in 65,536 times. Cut into segments it always completes
 * them.
 */
static __always_inline int kind_of_checksum(const struct __sk_buff *ctx,
					    const struct packet *packet, __u16 checksum)
{
	int looks_started = checksum % 0xffff == sum_left_to_device(packet) % 0xffff;

	if (looks_started)
		return ctx->gso_size ? CHECKSUM_STARTED : CHECKSUM_EITHER;
	return ctx->gso_size ? CHECKSUM_EITHER : CHECKSUM_WHOLE;
}

/*
 * Fixes a checksum of which that is not known: the helper takes `change` out of a whole one, and
 * adds it to a started one. Returns the kind, or -1. The packet may have moved.
 */
static __noinline int fix_doubtful_checksum(struct __sk_buff *ctx, const struct packet *packet,
					    __u16 change, __u16 before)
{
	__u32 is_tcp = packet->key.protocol == IPPROTO_TCP;
	__u16 started = fold_sum((__u64)before + change);
	struct plain_headers headers;

	if (bpf_l4_csum_replace(
		    ctx, packet->l4_offset + (is_tcp ? TCP_CHECKSUM_OFFSET : UDP_CHECKSUM_OFFSET),
		    0, change, (is_tcp ? 0 : BPF_F_MARK_MANGLED_0) | BPF_F_PSEUDO_HDR) ||
	    find_plain_headers(ctx, packet, &headers))
		return -1;
	return started % 0xffff == *headers.checksum % 0xffff ? CHECKSUM_STARTED : CHECKSUM_WHOLE;
}

/* Takes a change of what it sums over out of a whole checksum. */
static __always_inline void fix_checksum(const struct packet *packet, __u16 *checksum, __u64 change)
{
	__u16 fixed = negative_of((__u16) ~*checksum + change);

	if (packet->key.protocol != IPPROTO_TCP && !fixed) /* 0 means: no checksum */
		fixed = 0xffff;
	*checksum = fixed;
}

static __always_inline void write_plain_ipv4(struct iphdr *ip, const struct packet *packet,
					     const struct topolb_flow_key *to, __u8 ttl,
					     __u64 change)
{
	ip->ttl = ttl;
	ip->check = ipv4_checksum_of(packet, ttl, change);
	ip->saddr = ipv4_of(&to->source);
	ip->daddr = ipv4_of(&to->destination);
}

static __always_inline void write_plain_ipv6(struct ipv6hdr *ip, const struct topolb_flow_key *to,
					     __u8 hop_limit)
{
	ip->hop_limit = hop_limit;
	__builtin_memcpy(&ip->saddr, &to->source, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, &to->destination, sizeof(ip->daddr));
}

#define NOT_PLAIN 1

/*
 * rewrite() for plain packets, in place. What the device has summed up (CHECKSUM_COMPLETE) must
 * follow: the headers' own checksums even out their changes but for the addresses, which are in
 * the transport's (as the pseudo header) besides IPv4's own or, in IPv6, nobody's.
 */
static __always_inline int rewrite_plain(struct __sk_buff *ctx, const struct packet *packet,
					 const struct topolb_flow_key *to, __u8 ttl, __u64 change)
{
	__u64 ports = sum_of_change(ports_of(&packet->key), ports_of(to));
	struct plain_headers headers;
	__u16 before, summed;
	int kind;

	if (find_plain_headers(ctx, packet, &headers))
		return NOT_PLAIN;
	before = *headers.checksum;
	kind = kind_of_checksum(ctx, packet, before);
	if (!before && packet->key.protocol != IPPROTO_TCP) {
		summed = fold_sum(ports); /* no checksum evens them out */
	} else if (kind == CHECKSUM_EITHER) {
		kind = fix_doubtful_checksum(ctx, packet, fold_sum(change), before);
		if (kind < 0 || find_plain_headers(ctx, packet, &headers))
			return -1;
		if (kind == CHECKSUM_WHOLE)
			fix_checksum(packet, headers.checksum, ports);
		summed = 0; /* the helper has seen to that */
	} else if (kind == CHECKSUM_STARTED) {
		*headers.checksum = fold_sum(before + change);
		summed = 0;
	} else {
		fix_checksum(packet, headers.checksum, change + ports);
		summed = negative_of(change);
	}
	*headers.ports = ports_of(to);
	if (packet->is_ipv4) {
		write_plain_ipv4(headers.ip, packet, to, ttl, change);
	} else {
		/* Never so, but the verifier of Linux 6.1 forgets which headers were looked for. */
		if (headers.ip + sizeof(struct ipv6hdr) > (void *)(long)ctx->data_end)
			return -1;
		write_plain_ipv6(headers.ip, to, ttl);
		summed = fold_sum(summed + change +
				  sum_of_change(bpf_htons(packet->ttl), bpf_htons(ttl)));
	}
	if (summed % 0xffff)
		bpf_csum_update(ctx, summed);
	return 0;
}

/* Addresses, ports and TTL of the packet become those given. -1: it is unusable now. */
static __always_inline int rewrite(struct __sk_buff *ctx, const struct packet *packet,
				   const struct topolb_flow_key *to, __u8 ttl)
{
	__u32 header = packet->is_ipv4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	int result = NOT_PLAIN;

	if (!packet->fragment && packet->l4_offset == packet->l3_offset + header)
		result = rewrite_plain(ctx, packet, to, ttl, sum_of_addresses_change(packet, to));
	return result == NOT_PLAIN ? topolb_rewrite_any(ctx, packet, to, ttl) : result;
}

#endif
