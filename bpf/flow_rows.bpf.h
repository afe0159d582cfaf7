/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which rows of flows are taken (maps/flow_table.h): taking the next free one, giving one back.
 */
#ifndef TOPOLB_FLOW_ROWS_BPF_H
#define TOPOLB_FLOW_ROWS_BPF_H

#include "constants.bpf.h"
#include "lb_maps.bpf.h"
#include "maps/flow_table.h"

#define READ_ONCE(field) (*(const volatile typeof(field) *)&(field))

/* In place of a flow's id. */
#define NO_ROOM 0xfffffffe

static __always_inline struct topolb_flow_rows *rows_of(__u32 flow_id)
{
	__u32 line_id = flow_id / TOPOLB_FLOW_ROWS_PER_LINE;

	return bpf_map_lookup_elem(&flow_rows, &line_id);
}

static __always_inline struct topolb_flow_cursor *read_cursor(void)
{
	__u32 row = 0;

	return bpf_map_lookup_elem(&flow_cursors, &row);
}

/* This CPU's first of so many: far from those of others. */
static __always_inline __u32 own_first(__u32 count)
{
	return topolb_flow_line_of(bpf_get_smp_processor_id() * 0x9e3779b1U, count);
}

/* Gives a row back. If this CPU found the table full, it is the next that it takes. */
static __noinline void free_row(__u32 flow_id)
{
	struct topolb_flow_rows *rows = rows_of(flow_id);
	struct topolb_flow_cursor *cursor = read_cursor();
	__u32 word = flow_id / TOPOLB_FLOW_ROWS_PER_WORD % TOPOLB_FLOW_ROW_WORDS, line, first;

	if (!rows || !cursor)
		return;
	__sync_fetch_and_and(&rows->taken[word], ~(1ULL << flow_id % TOPOLB_FLOW_ROWS_PER_WORD));
	if (!cursor->full_tick)
		return;
	cursor->full_tick = 0;
	line = flow_id / TOPOLB_FLOW_ROWS_PER_LINE;
	first = own_first(flow_row_lines());
	cursor->row_line = line >= first ? line - first : line + flow_row_lines() - first;
}

/* The number of the only bit that is set, by a de Bruijn sequence: BPF has no instruction for it.
 */
static __always_inline __u32 number_of(__u64 bit)
{
	static const __u8 numbers[64] = {
		0,  1,	48, 2,	57, 49, 28, 3,	61, 58, 50, 42, 38, 29, 17, 4,
		62, 55, 59, 36, 53, 51, 43, 22, 45, 39, 33, 30, 24, 18, 12, 5,
		63, 47, 56, 27, 60, 41, 37, 16, 54, 35, 52, 21, 44, 32, 23, 11,
		46, 26, 40, 15, 34, 20, 31, 10, 25, 14, 19, 9,	13, 8,	7,  6,
	};

	return numbers[bit * 0x03f79d71b4cb0a89ULL >> 58];
}

/* The first free row of a line, now taken; NO_ROOM: none. */
static __always_inline __u32 take_row_of(__u32 line_id)
{
	struct topolb_flow_rows *rows = bpf_map_lookup_elem(&flow_rows, &line_id);

	if (!rows)
		return NO_ROOM;
	for (__u32 word = 0; word < TOPOLB_FLOW_ROW_WORDS; word++) {
		__u64 taken = READ_ONCE(rows->taken[word]), bit = ~taken & (taken + 1);

		if (bit &&
		    __sync_val_compare_and_swap(&rows->taken[word], taken, taken | bit) == taken)
			return line_id * TOPOLB_FLOW_ROWS_PER_LINE +
			       word * TOPOLB_FLOW_ROWS_PER_WORD + number_of(bit);
	}
	return NO_ROOM;
}

struct row_search {
	__u32 first; /* line of this CPU */
	__u32 line;  /* counted from that */
	__u32 flow_id;
};

static long search_rows(__u32 step __attribute__((unused)), void *data)
{
	struct row_search *search = data;
	__u32 line = search->first + search->line;

	if (line >= flow_row_lines())
		line -= flow_row_lines();
	search->flow_id = take_row_of(line);
	if (search->flow_id != NO_ROOM)
		return 1;
	search->line++;
	if (search->line >= flow_row_lines())
		search->line = 0;
	return 0;
}

/* A row for a new flow; NO_ROOM: there is none. Whoever finds none does not look again in the same
 * tick: a flood on a full table is not to search all of it. */
static __noinline __u32 take_row(void)
{
	struct row_search search = {.first = own_first(flow_row_lines()), .flow_id = NO_ROOM};
	struct topolb_flow_cursor *cursor = read_cursor();
	__u32 tick = (__u32)bpf_jiffies64() | 1;

	if (!cursor || cursor->full_tick == tick)
		return NO_ROOM;
	search.line = cursor->row_line;
	if (!search_rows(0, &search))
		bpf_loop(flow_row_lines(), search_rows, &search, 0);
	cursor->row_line = search.line;
	if (search.flow_id == NO_ROOM)
		cursor->full_tick = tick;
	return search.flow_id;
}

#endif
