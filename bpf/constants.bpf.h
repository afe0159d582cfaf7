/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The constants of maps/constants.h, each known to the verifier. By asm, as the compiler is not to
 * compute with what stands there now; volatile, as it would keep one for several uses on the stack,
 * of which Linux 6.1 lets some programs have no byte more.
 */
#ifndef TOPOLB_CONSTANTS_BPF_H
#define TOPOLB_CONSTANTS_BPF_H

#include <linux/types.h>

#include "maps/constants.h"

#define DEFINE_CONSTANT(type, name, id)                                                            \
	static __always_inline type name(void)                                                     \
	{                                                                                          \
		__u64 number;                                                                      \
                                                                                                   \
		asm volatile("%0 = %1 ll" : "=r"(number) : "i"(TOPOLB_CONSTANT_MARK | (id)));      \
		return (type)number;                                                               \
	}

DEFINE_CONSTANT(__u32, has_set_retval, TOPOLB_HAS_SET_RETVAL)
DEFINE_CONSTANT(__u64, frontend_seed, TOPOLB_FRONTEND_SEED)
DEFINE_CONSTANT(__u32, frontend_lines, TOPOLB_FRONTEND_LINES)
DEFINE_CONSTANT(__u64, sets_per_line, TOPOLB_SETS_PER_LINE)
DEFINE_CONSTANT(__u64, backends_per_line, TOPOLB_BACKENDS_PER_LINE)
DEFINE_CONSTANT(__u32, counters_per_cpu, TOPOLB_COUNTERS_PER_CPU)
DEFINE_CONSTANT(__u32, peer_lines, TOPOLB_PEER_LINES)
DEFINE_CONSTANT(__u64, flow_seed, TOPOLB_FLOW_SEED)
DEFINE_CONSTANT(__u32, flow_lines, TOPOLB_FLOW_LINES)
DEFINE_CONSTANT(__u32, flow_row_lines, TOPOLB_FLOW_ROW_LINES)
DEFINE_CONSTANT(__u32, flow_id_bits, TOPOLB_FLOW_ID_BITS)
DEFINE_CONSTANT(__u32, flow_port_step, TOPOLB_FLOW_PORT_STEP)
DEFINE_CONSTANT(__u32, is_dsr_on, TOPOLB_IS_DSR_ON)

#endif
