// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * For timing a TC program by BPF_PROG_TEST_RUN, which runs it again and again on the packet that
 * it left: restores the packet, makes it one of a flow's of many, then lets the program under test
 * (or one that does nothing) run. tc_bench.cpp sets the variables.
 */
// The first of these has the types of the second.
// clang-format off
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
// clang-format on

#define HEADERS_LENGTH 74 /* Ethernet, IPv6, TCP */
#define FIRST_PORT 20000
#define PORTS 40000
/* What Linux is on average after the port of a client's last connection to the same frontend: 2,
 * and 0 to 14 more (__inet_hash_connect). */
#define PORT_STEP 9

__u8 headers[HEADERS_LENGTH];
/* So many flows take turns, told apart by the client's port, and the last two bytes of its address
 * where there are more than ports. 0: the packet stays as it is. */
__u32 flows;
__u32 next_flow;
__u32 client_address_offset, client_port_offset; /* of those two bytes, and of the port */
__u16 client_address;                            /* of the first flow: the last two bytes */
/* Each flow is of another client, at another port, none of them near the one before. */
__u32 are_clients_scattered;
/* One of so many Services is dialled at random; by the last two bytes of the address. 0: the same
 * one always. */
__u32 services;
__u32 service_address_offset;

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} targets SEC(".maps");

static void store(struct __sk_buff* ctx, __u32 offset, __u32 value) {
  __u16 value_be = bpf_htons(value);

  bpf_skb_store_bytes(ctx, offset, &value_be, sizeof(value_be), 0);
}

SEC("tc")
int restore(struct __sk_buff* ctx) {
  bpf_skb_store_bytes(ctx, 0, headers, HEADERS_LENGTH, 0);
  if (are_clients_scattered) {
    __u32 client = next_flow++ * 0x9e3779b1U; /* odd: no two are the same */

    store(ctx, client_port_offset, client);
    store(ctx, client_address_offset, client >> 16);
  } else if (flows) {
    __u32 port = next_flow++ % flows * PORT_STEP;

    store(ctx, client_port_offset, FIRST_PORT + port % PORTS);
    store(ctx, client_address_offset, client_address + port / PORTS);
  }
  if (services) store(ctx, service_address_offset, bpf_get_prandom_u32() % services);
  bpf_tail_call(ctx, &targets, 0);
  return -1;
}

SEC("tc")
int nothing(struct __sk_buff* ctx) {
  (void)ctx;
  return -1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
