/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What tables say of a packet before it has a flow: the ports of a fragment, and whether a
 * LoadBalancer serves its client.
 */
#ifndef TOPOLB_FRAGMENT_BPF_H
#define TOPOLB_FRAGMENT_BPF_H

#include "parse.bpf.h"

/* Only a datagram's first fragment has the ports. -1: they are not known. */
static __noinline int fill_fragment_ports(struct packet *packet)
{
	struct topolb_fragment_key key = {
		.source = packet->key.source,
		.destination = packet->key.destination,
		.identification = packet->identification,
		.protocol = packet->key.protocol,
	};
	struct topolb_fragment ports = {
		.source_port_be = packet->key.source_port_be,
		.destination_port_be = packet->key.destination_port_be,
	};
	struct topolb_fragment *first;

	if (packet->fragment == FRAGMENT_FIRST)
		return bpf_map_update_elem(&fragments, &key, &ports, BPF_ANY);
	first = bpf_map_lookup_elem(&fragments, &key);
	if (!first)
		return -1;
	packet->key.source_port_be = first->source_port_be;
	packet->key.destination_port_be = first->destination_port_be;
	return 0;
}

static __always_inline int is_in_source_ranges(const struct packet *packet, __u32 service_id)
{
	struct topolb_source_range client = {
		.prefix_bits = 8 * (sizeof(client) - sizeof(client.prefix_bits)),
		.service_id = service_id,
		.address = packet->key.source,
	};

	return bpf_map_lookup_elem(&source_ranges, &client) != NULL;
}

#endif
