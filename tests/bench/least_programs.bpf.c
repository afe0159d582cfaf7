// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The least that whoever balances at the socket hooks does: puts a random backend of a Service in
 * place of its address, and the address in place of the backend's where one is asked for. All that
 * stands in the instructions: nothing is looked up, and nothing remembered.
 */
// The first of these has the types of the others.
// clang-format off
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
// clang-format on

/* The first two Services of scripts/bench.d/cluster.py, of TCP and of UDP, and their backends:
 * whoever dials checks what it is shown. */
#define FIRST_SERVICE 0xc6120001 /* 198.18.0.1 */
#define SERVICES 2
#define PORT 80
#define FIRST_BACKEND 0x0a000001 /* 10.0.0.1 */
#define BACKENDS 10              /* of each */
#define TARGET_PORT 8080

#define ALLOW 1

static __always_inline int dial_backend(struct bpf_sock_addr* ctx) {
  __u32 service = bpf_ntohl(ctx->user_ip4) - FIRST_SERVICE;
  __u32 backend = ((__u64)bpf_get_prandom_u32() * BACKENDS) >> 32;

  if (service >= SERVICES || ctx->user_port != bpf_htons(PORT)) return ALLOW;
  ctx->user_ip4 = bpf_htonl(FIRST_BACKEND + service * BACKENDS + backend);
  ctx->user_port = bpf_htons(TARGET_PORT);
  return ALLOW;
}

static __always_inline int show_service(struct bpf_sock_addr* ctx) {
  __u32 backend = bpf_ntohl(ctx->user_ip4) - FIRST_BACKEND;

  if (backend >= SERVICES * BACKENDS || ctx->user_port != bpf_htons(TARGET_PORT)) return ALLOW;
  ctx->user_ip4 = bpf_htonl(FIRST_SERVICE + backend / BACKENDS);
  ctx->user_port = bpf_htons(PORT);
  return ALLOW;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr* ctx) { return dial_backend(ctx); }

SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr* ctx) { return dial_backend(ctx); }

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr* ctx) { return show_service(ctx); }

SEC("cgroup/recvmsg4")
int recvmsg4(struct bpf_sock_addr* ctx) { return show_service(ctx); }

char _license[] SEC("license") = "Dual BSD/GPL";
