/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Numbers that the programs have in their instructions: userspace puts them there before it loads
 * them. In .rodata they would take a cache line and a TLB entry more wherever a search begins
 * (docs/decisions/0055-numbers-in-the-instructions.md).
 */
#ifndef TOPOLB_CONSTANTS_H
#define TOPOLB_CONSTANTS_H

#include <linux/types.h>

enum topolb_constant {
	TOPOLB_HAS_SET_RETVAL = 1, /* 1: the kernel knows bpf_set_retval (5.18) */
	TOPOLB_FRONTEND_SEED,	   /* settings.frontend_seed */
	TOPOLB_FRONTEND_LINES,	   /* lines of `frontends` that a search may begin in */
	TOPOLB_SETS_PER_LINE,	   /* topolb_rows_per_line(): of `sets`, */
	TOPOLB_BACKENDS_PER_LINE,  /* and of `backends` */
	TOPOLB_COUNTERS_PER_CPU,   /* of `counters` */
	TOPOLB_PEER_LINES,	   /* of `peers` */
	/* As in struct topolb_flow_facts. */
	TOPOLB_FLOW_SEED,
	TOPOLB_FLOW_LINES,
	TOPOLB_FLOW_ROW_LINES,
	TOPOLB_FLOW_ID_BITS,
	TOPOLB_FLOW_PORT_STEP,
	TOPOLB_IS_DSR_ON, /* 1: direct server return */
};

/* Near which row of sets, or backends, those of the frontends of a line are, if there was room:
 * programs guess at them before they know (docs/decisions/0057). `rows_per_line` is in 65536ths. */
static inline __u32 topolb_near_row(__u32 line, __u64 rows_per_line)
{
	return (__u32)(line * rows_per_line >> 16);
}

static inline __u64 topolb_rows_per_line(__u32 rows, __u32 lines)
{
	return ((__u64)rows << 16) / lines;
}

/* In the place of a constant until userspace has put it there: "topolb" and the number of the
 * constant. */
#define TOPOLB_CONSTANT_MARK 0x746f706f6c620000

#endif
