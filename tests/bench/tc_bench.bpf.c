// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * For timing a TC program by BPF_PROG_TEST_RUN, which runs it again and again on the packet that
 * it left: restores the packet, then lets the program under test (or one that does nothing) run.
 */
// The first of these has the types of the second.
// clang-format off
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
// clang-format on

#define HEADERS_LENGTH 74 /* Ethernet, IPv6, TCP */

struct original {
  __u8 headers[HEADERS_LENGTH];
  __u16 port_offset; /* of a port that counts up, or 0 */
  __u32 port;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct original);
} originals SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} targets SEC(".maps");

SEC("tc")
int restore(struct __sk_buff* ctx) {
  __u32 row = 0;
  struct original* original = bpf_map_lookup_elem(&originals, &row);

  if (!original) return -1;
  bpf_skb_store_bytes(ctx, 0, original->headers, HEADERS_LENGTH, 0);
  if (original->port_offset) {
    __u16 port = original->port++;

    bpf_skb_store_bytes(ctx, original->port_offset, &port, sizeof(port), 0);
  }
  bpf_tail_call(ctx, &targets, 0);
  return -1;
}

SEC("tc")
int nothing(struct __sk_buff* ctx) {
  (void)ctx;
  return -1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
