/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * bind() to a NodePort on the node itself: the process would never get a packet, so it
 * is told at once that the port is in use, as by a kube-proxy that holds it open.
 *
 * Reads settings and frontends. Only sockets of the node's own network namespace are
 * looked at: a pod's ports are its own. A bind to any other port costs one comparison.
 */
#ifndef TOPOLB_LB_BIND_BPF_H
#define TOPOLB_LB_BIND_BPF_H

#include "lb_frontend.bpf.h"

static __always_inline int is_unspecified_ipv6(const struct topolb_address *address)
{
	const __u32 *words = (const __u32 *)address;

	return !(words[0] | words[1] | words[2] | words[3]);
}

/* A NodePort of the address family that `wanted` is of. */
static __always_inline int has_node_port(struct topolb_frontend wanted)
{
	struct topolb_frontend_row *row;

	wanted.address = unspecified_like(&wanted.address);
	row = find_row_from(&wanted, first_line_of(&wanted));
	return row && row->kind == TOPOLB_FRONTEND_NODE_PORT && row->inside_set;
}

static __always_inline int takes_node_port(struct bpf_sock_addr *ctx, struct topolb_frontend wanted)
{
	struct topolb_settings *config = read_settings();

	if (!config || !is_node_port(wanted.port_be, config))
		return 0;
	if (bpf_get_netns_cookie(ctx) != config->node_netns_cookie)
		return 0;
	if (has_node_port(wanted))
		return 1;
	/* A socket on :: gets IPv4 too, unless it is IPV6_V6ONLY, which can't be seen here. */
	if (!is_unspecified_ipv6(&wanted.address))
		return 0;
	wanted.address = ipv4_address(0);
	return has_node_port(wanted);
}

#endif
