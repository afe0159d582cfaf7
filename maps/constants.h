/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Numbers that the programs have in their instructions: userspace puts them there before it loads
 * them. In .rodata they would take a cache line and a TLB entry more wherever a search begins
 * (docs/decisions/0055-numbers-in-the-instructions.md).
 */
#ifndef TOPOLB_CONSTANTS_H
#define TOPOLB_CONSTANTS_H

enum topolb_constant {
	TOPOLB_HAS_SET_RETVAL = 1, /* 1: the kernel knows bpf_set_retval (5.18) */
	TOPOLB_FRONTEND_SEED,	   /* settings.frontend_seed */
	TOPOLB_FRONTEND_LINES,	   /* lines of `frontends` that a search may begin in */
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

/* In the place of a constant until userspace has put it there: "topolb" and the number of the
 * constant. */
#define TOPOLB_CONSTANT_MARK 0x746f706f6c620000

#endif
