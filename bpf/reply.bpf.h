/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers a packet in place of its receiver: TCP RST, ICMP and ICMPv6 errors. The packet
 * becomes the answer and leaves by the device it came in by, link-layer addresses
 * swapped. Rate limited per CPU. The answer's checksums are whole, whatever the packet's
 * were.
 */
#ifndef TOPOLB_REPLY_BPF_H
#define TOPOLB_REPLY_BPF_H

#include "flow.bpf.h"
#include "nat.bpf.h"

#define REPLY_TTL 64
#define ICMP_HEADER_LENGTH 8
#define EMBEDDED_TRANSPORT_LENGTH 8
/* IPv4 with all options, or IPv6 with 32 bytes of extension headers. */
#define EMBEDDED_HEADERS_MAX 72
#define EMBEDDED_MAX (EMBEDDED_HEADERS_MAX + EMBEDDED_TRANSPORT_LENGTH)

/* Type and code of an ICMP error in one number. */
#define ICMP_ERROR(type, code) ((type) << 8 | (code))

static __always_inline int may_reply(void)
{
	__u32 row = 0;
	struct topolb_reply_budget *budget = bpf_map_lookup_elem(&reply_budgets, &row);
	__u64 now = bpf_ktime_get_coarse_ns(), earned;

	if (!budget)
		return 0;
	earned = (now - budget->refilled_ns) / (NSEC_PER_SEC / TOPOLB_REPLIES_PER_SECOND);
	if (earned) {
		budget->refilled_ns = now;
		budget->tokens += earned;
		if (budget->tokens > TOPOLB_REPLY_BURST || earned > TOPOLB_REPLY_BURST)
			budget->tokens = TOPOLB_REPLY_BURST;
	}
	if (!budget->tokens) {
		count_event(TOPOLB_EVENT_REPLY_LIMITED);
		return 0;
	}
	budget->tokens--;
	return 1;
}

/* Whether a packet at ingress is for another machine. At the port of a bridge, what a pod sends to
 * the node has the bridge's address. */
static __always_inline int is_for_another(const struct __sk_buff *ctx)
{
	return ctx->pkt_type == PACKET_OTHERHOST && !ctx->cb[0];
}

/* Nobody answers to these. Source: RFC 1122, 3.2.2; RFC 4443, 2.4 (e). */
static __always_inline int is_answerable(const struct __sk_buff *ctx, const struct packet *packet)
{
	__u32 first = *(const __u32 *)&packet->key.source;

	if ((ctx->pkt_type != PACKET_HOST && ctx->pkt_type != PACKET_OTHERHOST) ||
	    is_for_another(ctx) || packet->fragment == FRAGMENT_LATER)
		return 0;
	if (!packet->is_ipv4)
		return (first & bpf_htonl(0xff000000)) != bpf_htonl(0xff000000) &&
		       !is_loopback(&packet->key.source);
	return !is_loopback(&packet->key.source) &&
	       (ipv4_of(&packet->key.source) & bpf_htonl(0xe0000000)) != bpf_htonl(0xe0000000);
}

static __always_inline int send_back(struct __sk_buff *ctx, const struct packet *packet)
{
	__u8 receiver[ETH_ALEN], sender[ETH_ALEN];

	if (bpf_skb_load_bytes(ctx, 0, receiver, ETH_ALEN) ||
	    bpf_skb_load_bytes(ctx, ETH_ALEN, sender, ETH_ALEN) ||
	    bpf_skb_store_bytes(ctx, 0, sender, ETH_ALEN, 0) ||
	    bpf_skb_store_bytes(ctx, ETH_ALEN, receiver, ETH_ALEN, 0))
		return TC_ACT_SHOT;
	count_event(TOPOLB_EVENT_REPLIED);
	/* What was unwrapped came by another node, which takes no packets with its own address. */
	if (is_dsr_on() && packet->is_unwrapped)
		return bpf_redirect_neigh(ctx->ifindex, NULL, 0, 0);
	return bpf_redirect(ctx->ifindex, 0);
}

static __always_inline __u64 sum_of_address(const struct topolb_address *address)
{
	const __u32 *words = (const __u32 *)address;

	return (__u64)words[0] + words[1] + words[2] + words[3];
}

/* Without the ::ffff: of mapped addresses, which are not in IPv4's pseudo header. */
static __always_inline __u16 sum_of_pseudo_header(const struct packet *packet,
						  const struct topolb_address *source,
						  __u8 protocol, __u32 length)
{
	__u64 sum = (__u64)bpf_htonl(protocol) + bpf_htonl(length);

	if (packet->is_ipv4)
		return fold_sum(sum + ipv4_of(source) + ipv4_of(&packet->key.source));
	return fold_sum(sum + sum_of_address(source) + sum_of_address(&packet->key.source));
}

/* An IP header from `source` to the sender of the packet; options become padding. */
static __always_inline int write_reply_header(struct __sk_buff *ctx, const struct packet *packet,
					      const struct topolb_address *source, __u8 protocol,
					      __u32 length)
{
	if (packet->is_ipv4) {
		struct iphdr ip = {
			.version = 4,
			.ihl = 5,
			.tot_len = bpf_htons(sizeof(ip) + length),
			.frag_off = bpf_htons(IPV4_DONT_FRAGMENT),
			.ttl = REPLY_TTL,
			.protocol = protocol,
			.saddr = ipv4_of(source),
			.daddr = ipv4_of(&packet->key.source),
		};

		ip.check = negative_of(bpf_csum_diff(NULL, 0, (__be32 *)&ip, sizeof(ip), 0));
		return bpf_skb_store_bytes(ctx, packet->l3_offset, &ip, sizeof(ip), 0);
	}

	struct ipv6hdr ip = {
		.version = 6,
		.payload_len = bpf_htons(length),
		.nexthdr = protocol,
		.hop_limit = REPLY_TTL,
	};

	__builtin_memcpy(&ip.saddr, source, sizeof(ip.saddr));
	__builtin_memcpy(&ip.daddr, &packet->key.source, sizeof(ip.daddr));
	return bpf_skb_store_bytes(ctx, packet->l3_offset, &ip, sizeof(ip), 0);
}

static __always_inline __u32 ip_header_length(const struct packet *packet)
{
	return packet->is_ipv4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}

/*
 * Whether the device is to complete the checksum (CHECKSUM_PARTIAL: the packet came from a socket
 * of this machine): then the helper leaves alone what it is told to fix. Here it is told of the IP
 * header's first word, which the answer's replaces.
 */
static __always_inline int is_checksum_left_to_device(struct __sk_buff *ctx,
						      const struct packet *packet)
{
	__u32 offset = packet->l3_offset;
	__u16 before, after;

	if (bpf_skb_load_bytes(ctx, offset, &before, sizeof(before)) ||
	    bpf_l4_csum_replace(ctx, offset, 0, bpf_htons(1), sizeof(__u16)) ||
	    bpf_skb_load_bytes(ctx, offset, &after, sizeof(after)))
		return 0;
	return before == after;
}

/*
 * A device would complete the checksum where the packet has it, which in an ICMP error is the
 * middle of something else. The kernel takes the order back when the byte that the sum starts from
 * is cut off; before Linux 6.1.4, when anything else is cut off thereafter. -1: it stands.
 */
static __always_inline int take_checksum_from_device(struct __sk_buff *ctx,
						     const struct packet *packet)
{
	__u32 cut = (packet->l4_offset & ~3U) + 4;
	__u32 rest = packet->l3_offset + ip_header_length(packet); /* the least that may be left */

	for (int cuts = 0; cuts <= 2; cuts++) {
		if (!is_checksum_left_to_device(ctx, packet))
			return 0;
		if (bpf_skb_change_tail(ctx, rest + cut, 0) ||
		    bpf_skb_adjust_room(ctx, -(__s32)cut, BPF_ADJ_ROOM_MAC, 0))
			return -1;
	}
	return -1;
}

/* Makes the packet an IP header and `length` bytes long, none of which is kept. -1: it can't. */
static __always_inline int make_room(struct __sk_buff *ctx, const struct packet *packet,
				     __u32 length)
{
	if (take_checksum_from_device(ctx, packet))
		return -1;
	return bpf_skb_change_tail(ctx, packet->l3_offset + ip_header_length(packet) + length, 0);
}

/* The sequence number that acknowledges the segment, and the one it acknowledges. */
static __always_inline int fill_reset(struct __sk_buff *ctx, const struct packet *packet,
				      struct tcphdr *reset)
{
	struct tcphdr tcp;
	__u32 length = packet->l3_offset + packet->l3_length - packet->l4_offset;

	if (bpf_skb_load_bytes(ctx, packet->l4_offset, &tcp, sizeof(tcp)))
		return -1;
	reset->source = tcp.dest;
	reset->dest = tcp.source;
	reset->doff = sizeof(*reset) / 4;
	reset->rst = 1;
	if (tcp.ack) { /* RFC 9293, 3.10.7.1 */
		reset->seq = tcp.ack_seq;
		return 0;
	}
	reset->ack = 1;
	reset->ack_seq = bpf_htonl(bpf_ntohl(tcp.seq) + length - tcp.doff * 4 + tcp.syn + tcp.fin);
	return 0;
}

/* Resets the connection on behalf of the packet's receiver. Returns a TC_ACT_*. */
__noinline int topolb_send_reset(struct __sk_buff *ctx, const struct packet *packet)
{
	if (!packet)
		return TC_ACT_SHOT;

	struct tcphdr reset = {};
	__u32 header = packet->l3_offset + ip_header_length(packet);
	__u16 sum;

	if (packet->tcp_flags & TCP_RST || !is_answerable(ctx, packet) || !may_reply() ||
	    fill_reset(ctx, packet, &reset) || make_room(ctx, packet, sizeof(reset)))
		return TC_ACT_SHOT;
	sum = sum_of_pseudo_header(packet, &packet->key.destination, IPPROTO_TCP, sizeof(reset));
	reset.check = negative_of(bpf_csum_diff(NULL, 0, (__be32 *)&reset, sizeof(reset), sum));
	if (write_reply_header(ctx, packet, &packet->key.destination, IPPROTO_TCP, sizeof(reset)) ||
	    bpf_skb_store_bytes(ctx, header, &reset, sizeof(reset), 0))
		return TC_ACT_SHOT;
	return send_back(ctx, packet);
}

struct icmp_message {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__u32 rest;
	__u8 embedded[EMBEDDED_MAX];
};

/*
 * Sends an ICMP or ICMPv6 error about the packet to its sender. `error` is an ICMP_ERROR(), `mtu`
 * that of the next link, or 0. Returns a TC_ACT_*.
 */
__noinline int topolb_send_icmp_error(struct __sk_buff *ctx, const struct packet *packet,
				      const struct topolb_address *source, __u32 error, __u32 mtu)
{
	if (!packet || !source)
		return TC_ACT_SHOT;

	struct icmp_message message = {.type = error >> 8, .code = error};
	__u8 protocol = packet->is_ipv4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	__u32 embedded = packet->l4_offset - packet->l3_offset + EMBEDDED_TRANSPORT_LENGTH;
	__u32 length = ICMP_HEADER_LENGTH + embedded, pseudo = 0;

	if (embedded > EMBEDDED_MAX || !is_answerable(ctx, packet) || !may_reply())
		return TC_ACT_SHOT;
	/* Again, and one by one: the verifier must see both ends of the range in one register. */
	embedded &= 127;
	if (embedded > EMBEDDED_MAX)
		return TC_ACT_SHOT;
	barrier_var(embedded);
	if (embedded < EMBEDDED_TRANSPORT_LENGTH ||
	    bpf_skb_load_bytes(ctx, packet->l3_offset, message.embedded, embedded) ||
	    make_room(ctx, packet, length))
		return TC_ACT_SHOT;
	message.rest = bpf_htonl(mtu);
	if (!packet->is_ipv4)
		pseudo = sum_of_pseudo_header(packet, source, protocol, length);
	message.checksum =
		negative_of(bpf_csum_diff(NULL, 0, (__be32 *)&message, sizeof(message), pseudo));
	length = ICMP_HEADER_LENGTH + embedded;
	if (write_reply_header(ctx, packet, source, protocol, length) ||
	    bpf_skb_store_bytes(ctx, packet->l3_offset + ip_header_length(packet), &message, length,
				0))
		return TC_ACT_SHOT;
	return send_back(ctx, packet);
}

/* The answer of a host where nobody listens. */
static __always_inline int refuse(struct __sk_buff *ctx, const struct packet *packet)
{
	__u32 error = packet->is_ipv4 ? ICMP_ERROR(ICMP_DEST_UNREACH, ICMP_PORT_UNREACH)
				      : ICMP_ERROR(ICMPV6_DEST_UNREACH, ICMPV6_PORT_UNREACH);

	if (packet->key.protocol == IPPROTO_TCP)
		return topolb_send_reset(ctx, packet);
	return topolb_send_icmp_error(ctx, packet, &packet->key.destination, error, 0);
}

#endif
