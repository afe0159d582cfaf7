/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a packet to addresses, ports and offsets. Ethernet with up to two VLAN tags in
 * the packet, IPv4 with options, IPv6 with extension headers, TCP, UDP, ICMP errors.
 *
 * Reads only, through the linear part, which is pulled when it is too short for the
 * common headers; what lies behind options and extension headers is loaded. Whatever is
 * malformed or of no interest is PARSE_OTHER: the stack knows what to do with it.
 * Byte order: as in maps/layout.h; offsets count from the start of the packet.
 */
#ifndef TOPOLB_PARSE_BPF_H
#define TOPOLB_PARSE_BPF_H

#include <linux/bpf.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stddef.h>

#include "lb_address.bpf.h"
#include "lb_maps.bpf.h"
#include "lb_select.bpf.h"

/* RFC 792; linux/icmp.h needs the C library's headers of the target. */
#define ICMP_DEST_UNREACH 3
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12
#define ICMP_PORT_UNREACH 3
#define ICMP_FRAG_NEEDED 4

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_DONT_FRAGMENT 0x4000
#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV6_FRAGMENT_OFFSET 0xfff8
#define IPV6_MORE_FRAGMENTS 0x0001

#define VLAN_HEADER_LENGTH 4
#define TCP_FLAGS_OFFSET 13
/* Ethernet, IP, TCP: the least that is pulled into the linear part if there; no more, as what TCP
 * sends has its headers there and nothing else, and pulling copies them. */
#define IPV4_HEADERS_LENGTH (ETH_HLEN + sizeof(struct iphdr) + sizeof(struct tcphdr))
#define IPV6_HEADERS_LENGTH (ETH_HLEN + sizeof(struct ipv6hdr) + sizeof(struct tcphdr))

enum { PARSE_OTHER, PARSE_TRANSPORT, PARSE_ICMP_ERROR };
enum { FRAGMENT_NONE, FRAGMENT_FIRST, FRAGMENT_LATER };

struct packet {
	struct topolb_flow_key key; /* ports 0 until known, for later fragments */
	__u32 l3_offset;
	__u32 l4_offset;
	__u32 l3_length;      /* bytes from l3_offset on, by the IP header */
	__u32 identification; /* of a fragment */
	__u16 ipv4_checksum;  /* as in the packet */
	__u8 is_ipv4;
	__u8 ttl;	   /* or hop limit */
	__u8 first_header; /* IPv6: the header after the fixed one */
	__u8 tcp_flags;
	__u8 fragment;	   /* FRAGMENT_* */
	__u8 is_unwrapped; /* came in another packet (unwrap.bpf.h) */
};

static __always_inline int is_extension_header(__u8 header)
{
	return header == IPPROTO_HOPOPTS || header == IPPROTO_ROUTING ||
	       header == IPPROTO_FRAGMENT || header == IPPROTO_DSTOPTS || header == IPPROTO_AH;
}

static __always_inline int is_icmp_error(__u32 protocol, __u8 type)
{
	if (protocol == IPPROTO_ICMP)
		return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED ||
		       type == ICMP_PARAMETERPROB;
	return type >= ICMPV6_DEST_UNREACH && type <= ICMPV6_PARAMPROB;
}

/* Whether the transport header has so many bytes by the IP header: what is behind is padding. */
static __always_inline int has_transport_bytes(const struct packet *packet, __u32 bytes)
{
	return packet->l4_offset + bytes <= packet->l3_offset + packet->l3_length;
}

/* Ports, TCP flags or ICMP type at l4_offset, loaded: for packets off the fast path. */
static __always_inline int load_transport(struct __sk_buff *ctx, struct packet *packet)
{
	struct topolb_flow_key *key = &packet->key;
	__u8 header[sizeof(struct tcphdr)];

	if (packet->fragment == FRAGMENT_LATER)
		return is_forwarded_protocol(key->protocol) && has_transport_bytes(packet, 0)
			       ? PARSE_TRANSPORT
			       : PARSE_OTHER;
	if (!has_transport_bytes(packet, sizeof(struct udphdr)) ||
	    bpf_skb_load_bytes(ctx, packet->l4_offset, header, sizeof(struct udphdr)))
		return PARSE_OTHER;
	if (key->protocol == (packet->is_ipv4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return is_icmp_error(key->protocol, header[0]) && !packet->fragment
			       ? PARSE_ICMP_ERROR
			       : PARSE_OTHER;
	if (!is_forwarded_protocol(key->protocol))
		return PARSE_OTHER;
	if (key->protocol == IPPROTO_TCP) {
		if (!has_transport_bytes(packet, sizeof(header)) ||
		    bpf_skb_load_bytes(ctx, packet->l4_offset, header, sizeof(header)))
			return PARSE_OTHER;
		packet->tcp_flags = header[TCP_FLAGS_OFFSET];
	}
	key->source_port_be = *(__be16 *)&header[0];
	key->destination_port_be = *(__be16 *)&header[2];
	return PARSE_TRANSPORT;
}

/* Follows the extension headers from packet->l4_offset on. Source: RFC 8200, 4. */
static __noinline int skip_extension_headers(struct __sk_buff *ctx, struct packet *packet)
{
	struct {
		__u8 next;
		__u8 length;
		__be16 fragment;
		__u32 identification;
	} header;

	for (int i = 0; i < TOPOLB_MAX_EXTENSION_HEADERS; i++) {
		__u8 current = packet->key.protocol;

		if (!is_extension_header(current))
			return load_transport(ctx, packet);
		if (bpf_skb_load_bytes(ctx, packet->l4_offset, &header, sizeof(header)))
			return PARSE_OTHER;
		packet->key.protocol = header.next;
		if (current == IPPROTO_FRAGMENT) {
			__u16 field = bpf_ntohs(header.fragment);

			packet->l4_offset += sizeof(header);
			packet->identification = header.identification;
			if (field & IPV6_FRAGMENT_OFFSET) {
				packet->fragment = FRAGMENT_LATER;
				return load_transport(ctx, packet);
			}
			if (field & IPV6_MORE_FRAGMENTS)
				packet->fragment = FRAGMENT_FIRST;
		} else if (current == IPPROTO_AH) {
			packet->l4_offset += (header.length + 2) * 4;
		} else {
			packet->l4_offset += (header.length + 1) * 8;
		}
	}
	return PARSE_OTHER;
}

static __noinline int load_behind_header(struct __sk_buff *ctx, struct packet *packet)
{
	return load_transport(ctx, packet);
}

/* The transport header right behind a plain IP header, read from the linear part. */
static __always_inline int read_transport(struct __sk_buff *ctx, struct packet *packet,
					  void *header, void *end)
{
	struct topolb_flow_key *key = &packet->key;
	struct udphdr *ports = header;
	struct tcphdr *tcp = header;

	if (key->protocol == IPPROTO_TCP) {
		if ((void *)(tcp + 1) > end || !has_transport_bytes(packet, sizeof(*tcp)))
			return PARSE_OTHER;
		packet->tcp_flags = ((__u8 *)tcp)[TCP_FLAGS_OFFSET];
	} else if (key->protocol != IPPROTO_UDP) {
		if (key->protocol == IPPROTO_ICMP || key->protocol == IPPROTO_ICMPV6)
			return load_behind_header(ctx, packet);
		return PARSE_OTHER;
	} else if ((void *)(ports + 1) > end || !has_transport_bytes(packet, sizeof(*ports))) {
		return PARSE_OTHER;
	}
	key->source_port_be = ports->source;
	key->destination_port_be = ports->dest;
	return PARSE_TRANSPORT;
}

/* Without a length is what is longer than 64 KiB, and will be cut into segments (BIG TCP). */
static __always_inline __u32 ip_length(const struct __sk_buff *ctx, const struct packet *packet,
				       __u32 by_header, int is_given)
{
	return is_given || !ctx->gso_size ? by_header : ctx->len - packet->l3_offset;
}

static __always_inline int parse_ipv4(struct __sk_buff *ctx, struct packet *packet, void *header,
				      void *end)
{
	struct iphdr *ip = header;
	__u16 fragment;

	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return PARSE_OTHER;
	packet->is_ipv4 = 1;
	packet->key.source = ipv4_address(ip->saddr);
	packet->key.destination = ipv4_address(ip->daddr);
	packet->key.protocol = ip->protocol;
	packet->ttl = ip->ttl;
	packet->ipv4_checksum = ip->check;
	packet->l3_length = ip_length(ctx, packet, bpf_ntohs(ip->tot_len), ip->tot_len);
	packet->l4_offset = packet->l3_offset + ip->ihl * 4;
	if (packet->l4_offset > packet->l3_offset + packet->l3_length ||
	    packet->l3_offset + packet->l3_length > ctx->len)
		return PARSE_OTHER;
	fragment = bpf_ntohs(ip->frag_off);
	if (fragment & (IPV4_FRAGMENT_OFFSET | IPV4_MORE_FRAGMENTS)) {
		packet->identification = ip->id;
		packet->fragment =
			fragment & IPV4_FRAGMENT_OFFSET ? FRAGMENT_LATER : FRAGMENT_FIRST;
	}
	if (packet->fragment || ip->ihl > 5)
		return load_behind_header(ctx, packet);
	return read_transport(ctx, packet, ip + 1, end);
}

static __always_inline int parse_ipv6(struct __sk_buff *ctx, struct packet *packet, void *header,
				      void *end)
{
	struct ipv6hdr *ip = header;

	if ((void *)(ip + 1) > end || ip->version != 6)
		return PARSE_OTHER;
	__builtin_memcpy(&packet->key.source, &ip->saddr, sizeof(packet->key.source));
	__builtin_memcpy(&packet->key.destination, &ip->daddr, sizeof(packet->key.destination));
	packet->key.protocol = ip->nexthdr;
	packet->first_header = ip->nexthdr;
	packet->ttl = ip->hop_limit;
	packet->l3_length =
		ip_length(ctx, packet, sizeof(*ip) + bpf_ntohs(ip->payload_len), ip->payload_len);
	packet->l4_offset = packet->l3_offset + sizeof(*ip);
	if (packet->l3_offset + packet->l3_length > ctx->len)
		return PARSE_OTHER;
	if (is_extension_header(ip->nexthdr))
		return skip_extension_headers(ctx, packet);
	return read_transport(ctx, packet, ip + 1, end);
}

/* Returns a PARSE_*. @pre *packet is zero. */
static __always_inline int parse(struct __sk_buff *ctx, struct packet *packet)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	__u32 wanted =
		ctx->protocol == bpf_htons(ETH_P_IP) ? IPV4_HEADERS_LENGTH : IPV6_HEADERS_LENGTH;

	if (end - data < wanted && ctx->len > end - data) {
		if (bpf_skb_pull_data(ctx, ctx->len < wanted ? ctx->len : wanted))
			return PARSE_OTHER;
		data = (void *)(long)ctx->data;
		end = (void *)(long)ctx->data_end;
	}

	struct ethhdr *ethernet = data;
	void *header = ethernet + 1;
	__be16 type;

	if (header > end)
		return PARSE_OTHER;
	type = ethernet->h_proto;
	packet->l3_offset = ETH_HLEN;
	for (int tag = 0; tag < 2; tag++) {
		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		if (header + VLAN_HEADER_LENGTH > end)
			return PARSE_OTHER;
		type = *(__be16 *)(header + 2);
		header += VLAN_HEADER_LENGTH;
		packet->l3_offset += VLAN_HEADER_LENGTH;
	}
	if (type == bpf_htons(ETH_P_IP))
		return parse_ipv4(ctx, packet, header, end);
	if (type == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(ctx, packet, header, end);
	return PARSE_OTHER;
}

#endif
