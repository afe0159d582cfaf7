/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* 16-byte addresses in network order; IPv4 is v4-mapped. Shared by every hook. Halves are made of
 * words as all of our machines have them, the lower one first. */
#ifndef TOPOLB_LB_ADDRESS_BPF_H
#define TOPOLB_LB_ADDRESS_BPF_H

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "maps/layout.h"

static __always_inline struct topolb_address ipv4_address(__be32 ip)
{
	struct topolb_address address = {};
	__u64 *halves = (__u64 *)&address;

	halves[1] = (__u64)ip << 32 | bpf_htonl(0xffff); /* one store: it is read as one */
	return address;
}

/* Of four words, as the kernel has the addresses of IPv6. */
static __always_inline struct topolb_address ipv6_address(__be32 a, __be32 b, __be32 c, __be32 d)
{
	struct topolb_address address;
	__u64 *halves = (__u64 *)&address;

	halves[0] = (__u64)b << 32 | a;
	halves[1] = (__u64)d << 32 | c;
	return address;
}

static __always_inline __be32 ipv4_of(const struct topolb_address *address)
{
	return ((const __u32 *)address)[3];
}

static __always_inline int is_ipv4(const struct topolb_address *address)
{
	const __u32 *words = (const __u32 *)address;

	return *(const __u64 *)address == 0 && words[2] == bpf_htonl(0xffff);
}

/* 127.0.0.0/8, 0.0.0.0 (which connect() takes for loopback), ::1 and ::. */
static __always_inline int is_loopback(const struct topolb_address *address)
{
	const __u32 *words = (const __u32 *)address;

	if (is_ipv4(address))
		return (words[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000) || !words[3];
	return words[0] == 0 && words[1] == 0 && words[2] == 0 &&
	       (words[3] == bpf_htonl(1) || words[3] == 0);
}

/* 0.0.0.0 or ::, under which a NodePort is found. */
static __always_inline struct topolb_address unspecified_like(const struct topolb_address *address)
{
	if (is_ipv4(address))
		return ipv4_address(0);
	return (struct topolb_address){};
}

static __always_inline int same_address(const struct topolb_address *a,
					const struct topolb_address *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

	return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

#endif
