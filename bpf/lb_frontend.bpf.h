/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The table of frontends: what is dialled, by address, port and protocol. Shared by
 * every hook; reads settings and frontends. Most look-ups, found or not, wait for one
 * cache line.
 */
#ifndef TOPOLB_LB_FRONTEND_BPF_H
#define TOPOLB_LB_FRONTEND_BPF_H

#include "constants.bpf.h"
#include "lb_address.bpf.h"
#include "lb_maps.bpf.h"

static __always_inline struct topolb_settings *read_settings(void)
{
	__u32 row = 0;

	return bpf_map_lookup_elem(&settings, &row);
}

/* The protocol first: it is there only while the rest of the key is whole. */
static __always_inline int is_row_of(const struct topolb_frontend_row *row,
				     const struct topolb_frontend *dialled)
{
	return *(const volatile __u8 *)&row->protocol == dialled->protocol &&
	       row->port_be == dialled->port_be && same_address(&row->address, &dialled->address);
}

/* The row of a line that has a frontend; NULL: none. */
static __always_inline struct topolb_frontend_row *
find_in_line(struct topolb_frontend_line *line, const struct topolb_frontend *dialled)
{
	for (int i = 0; i < TOPOLB_FRONTENDS_PER_LINE; i++) {
		if (is_row_of(&line->rows[i], dialled))
			return &line->rows[i];
	}
	return NULL;
}

static __always_inline int may_be_in_next(const struct topolb_frontend_line *line)
{
	return line->rows[TOPOLB_FRONTENDS_PER_LINE - 1].protocol != 0;
}

/* The line, from the second of a search on, that has a frontend; 0: none. A global function: the
 * verifier reads it once, not wherever a frontend is looked for. */
__noinline __u32 topolb_find_line(const struct topolb_frontend *dialled, __u32 first_id)
{
	if (!dialled)
		return 0;
	for (__u32 probe = 1; probe < TOPOLB_FRONTEND_PROBES; probe++) {
		__u32 line_id = first_id + probe;
		struct topolb_frontend_line *line = bpf_map_lookup_elem(&frontends, &line_id);

		if (!line)
			return 0;
		if (find_in_line(line, dialled))
			return line_id;
		if (!may_be_in_next(line))
			return 0;
	}
	return 0;
}

/* Has the CPU fetch, while it waits for a line of frontends, what that most likely leads to: each
 * says where the next one is, and would be waited for in turn (docs/decisions/0057). */
static __always_inline void fetch_ahead(__u32 line_id)
{
	__u32 set_id = topolb_near_row(line_id, sets_per_line());
	__u32 backend_id = topolb_near_row(line_id, backends_per_line());
	const volatile struct topolb_set *set = bpf_map_lookup_elem(&sets, &set_id);
	const volatile struct topolb_backend *backend = bpf_map_lookup_elem(&backends, &backend_id);

	if (set)
		(void)set->backend_count;
	if (backend)
		(void)backend->flags;
}

static __always_inline __u32 first_line_of(const struct topolb_frontend *dialled)
{
	return topolb_first_line(dialled, frontend_seed(), frontend_lines());
}

/* The row of a frontend, searched for from its first line on; NULL: nobody dials a Service by
 * that. */
static __always_inline struct topolb_frontend_row *
find_row_from(const struct topolb_frontend *dialled, __u32 line_id)
{
	struct topolb_frontend_line *line = bpf_map_lookup_elem(&frontends, &line_id);
	struct topolb_frontend_row *row;

	if (!line)
		return NULL;
	row = find_in_line(line, dialled);
	if (row || !may_be_in_next(line))
		return row;
	line_id = topolb_find_line(dialled, line_id);
	line = line_id ? bpf_map_lookup_elem(&frontends, &line_id) : NULL;
	return line ? find_in_line(line, dialled) : NULL;
}

/* The same, for who goes on to one of its sets: reads its id once, and takes 0 as NULL. */
static __always_inline struct topolb_frontend_row *find_row(const struct topolb_frontend *dialled)
{
	__u32 line_id = first_line_of(dialled);

	fetch_ahead(line_id);
	return find_row_from(dialled, line_id);
}

static __always_inline int is_node_port(__be16 port_be, const struct topolb_settings *config)
{
	__u16 port = bpf_ntohs(port_be);

	return port >= config->node_port_min && port <= config->node_port_max;
}

/* 0: no row has the port. */
static __always_inline int may_have_port(const struct topolb_port_set *set, __u16 port)
{
	__u32 bit = topolb_port_bit(port);

	barrier_var(bit); /* the verifier is to see the bound that the compiler knows of */
	if (bit >= sizeof(*set) * 8)
		return 0;
	return set->words[bit / 64] >> bit % 64 & 1;
}

#endif
