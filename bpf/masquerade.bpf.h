/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The addresses that masqueraded packets come from: rows of settings.masquerades, which the agent
 * writes (docs/decisions/0048). A flow keeps its row, so it keeps its address.
 */
#ifndef TOPOLB_MASQUERADE_BPF_H
#define TOPOLB_MASQUERADE_BPF_H

#include "lb_address.bpf.h"
#include "maps/layout.h"

/* Whether an address with such a last byte may be one of them. */
static __always_inline int may_be_masquerade(__u8 last_byte, const struct topolb_settings *config)
{
	return (config->masquerade_bits & topolb_masquerade_bit(last_byte)) != 0;
}

static __always_inline const struct topolb_address *
masquerade_address(__u32 row, const struct topolb_settings *config)
{
	return &config->masquerades[row % TOPOLB_MASQUERADES];
}

/* The row of the node's address; 0: it has none of that family. */
static __always_inline __u32 node_masquerade(int is_ipv4, const struct topolb_settings *config)
{
	return config->node_masquerades[is_ipv4 ? TOPOLB_IPV4 : TOPOLB_IPV6];
}

/* The same for packets that leave by a device. */
static __always_inline __u32 device_masquerade(__u32 interface_index, int is_ipv4,
					       const struct topolb_settings *config)
{
	for (int i = 0; i < TOPOLB_MASQUERADE_DEVICES; i++) {
		const struct topolb_masquerade_device *device = &config->masquerade_devices[i];
		__u32 row = device->rows[is_ipv4 ? TOPOLB_IPV4 : TOPOLB_IPV6];

		if (i >= config->masquerade_device_count)
			break;
		if (device->interface_index == interface_index && row)
			return row;
	}
	return node_masquerade(is_ipv4, config);
}

/* Whether an address is the node's, as above, and NodePorts answer on it. */
static __always_inline int is_node_port_row(const struct topolb_address *address,
					    const struct topolb_settings *config)
{
	__u32 row = config->node_port_rows[is_ipv4(address) ? TOPOLB_IPV4 : TOPOLB_IPV6];

	return row && same_address(masquerade_address(row, config), address);
}

#endif
