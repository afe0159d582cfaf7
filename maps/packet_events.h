/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the per-packet path counts. */
#ifndef TOPOLB_PACKET_EVENTS_H
#define TOPOLB_PACKET_EVENTS_H

#include <linux/types.h>

/* reply_budgets: per-CPU array with one row: the token bucket of answers. */
struct topolb_reply_budget {
	__u64 refilled_ns;
	__u64 tokens;
};

/* packet_events: per-CPU array: what happened on the per-packet path. */
enum {
	TOPOLB_EVENT_FLOW_OPENED = 0,
	TOPOLB_EVENT_FLOW_CLOSED,  /* deleted by the path itself */
	TOPOLB_EVENT_FLOW_REFUSED, /* the table is full of flows that are needed */
	TOPOLB_EVENT_FLOW_EVICTED, /* one without a reply, or long idle, made room for another */
	TOPOLB_EVENT_UNKNOWN_FLOW, /* TCP to a Service that belongs to no known flow */
	TOPOLB_EVENT_BACKEND_GONE,
	TOPOLB_EVENT_DROPPED, /* by verdict or source range */
	TOPOLB_EVENT_REPLIED, /* RST or ICMP error sent */
	TOPOLB_EVENT_REPLY_LIMITED,
	TOPOLB_EVENT_NO_ROUTE,
	TOPOLB_EVENT_FAILED,		 /* a packet that could not be rewritten */
	TOPOLB_EVENT_FLOW_WITHOUT_PORT,	 /* refused: no source port or address to masquerade with */
	TOPOLB_EVENT_DIRECT_HANDED_BACK, /* --dsr: this node can't answer the client itself */
	TOPOLB_EVENT_DIRECT_REFUSED,	 /* --dsr: the backend's node knows no wrapped packets */
	TOPOLB_EVENT_COUNT,
};

#endif
