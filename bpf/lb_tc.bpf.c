// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TC programs: Services for packets whose socket the cgroup hooks do not see, from outside
 * and from pods with a kernel or network stack of their own.
 *
 * Ingress finds the frontend, chooses (lb_select.bpf.h) and sends to the backend: through
 * the stack, with the client's address, if the replies pass here anyway; else masqueraded
 * and by its own route. Replies to masqueraded packets come back in at ingress, all others
 * are translated at egress of the client's device. Reads what the agent publishes and
 * writes affinities, counters, flows, their index and the cache of that, routes, fragments,
 * reply_budgets and packet_events.
 *
 * The attached programs, at the end, only read, and leave what may be of a flow to workers, which
 * write (docs/decisions/0042): packets with ports to one, all others to another (0050).
 *
 * TC_ACT_UNSPEC lets the next program or filter on the device have the packet.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define TOPOLB_PER_PACKET
#include "first_look.bpf.h"
#include "icmp.bpf.h"
#include "unwrap.bpf.h"
#include "wrapper_error.bpf.h"

/* Beside TC_ACT_*. */
#define FLOW_REFUSED -3
#define FLOW_BEGUN -8

/* NodePorts answer on those of the node's addresses that --nodeport-addresses says. Not
 * inlined: it would add to the stack of what is called with what it finds. */
static __noinline struct topolb_frontend_row *find_frontend(const struct packet *packet,
							    const struct topolb_settings *config)
{
	struct topolb_frontend dialled = {
		.address = packet->key.destination,
		.port_be = packet->key.destination_port_be,
		.protocol = packet->key.protocol,
	};
	struct topolb_frontend_row *target = find_row(&dialled);

	if (target)
		return target;
	if (!is_node_port(dialled.port_be, config))
		return NULL;
	if (!is_node_port_row(&dialled.address, config)) {
		struct topolb_node_address *node =
			bpf_map_lookup_elem(&node_addresses, &dialled.address);

		if (!node || !(node->flags & TOPOLB_NODE_ADDRESS_NODE_PORTS))
			return NULL;
	}
	dialled.address = unspecified_like(&dialled.address);
	return find_row(&dialled);
}

/* Chooses a backend for a new flow. Returns a TOPOLB_VERDICT_*. */
__noinline __u32 topolb_choose(const struct packet *packet,
			       const struct topolb_frontend_row *target, int is_from_pod,
			       struct topolb_choice *choice)
{
	if (!packet || !target || !choice)
		return TOPOLB_VERDICT_NONE;

	const volatile struct topolb_frontend_row *row = target;
	__u32 set_id = is_from_pod ? row->inside_set : row->outside_set;
	__u32 service_id = row->service_id, verdict;
	struct topolb_set *set = bpf_map_lookup_elem(&sets, &set_id);

	if (!set || !set_id)
		return TOPOLB_VERDICT_NONE;
	if (set->flags & TOPOLB_SET_SOURCE_RANGES &&
	    target->kind == TOPOLB_FRONTEND_LOAD_BALANCER &&
	    !is_in_source_ranges(packet, service_id))
		return TOPOLB_VERDICT_DROP;
	if (!(set->flags & TOPOLB_SET_CLIENT_IP_AFFINITY))
		return walk_tiers(set, choice);

	struct topolb_affinity_key client = {
		.client_address = packet->key.source,
		.service_id = service_id,
	};

	propose_affinity(set, &client, choice);
	verdict = walk_tiers(set, choice);
	if (verdict == TOPOLB_VERDICT_FORWARD)
		remember_affinity(&client, choice);
	return verdict;
}

/* Whether a backend is beyond the device that the packet came by, as pods of one bridge are on the
 * bridge's own: it would answer the client without passing here. */
__noinline int topolb_is_beyond(struct __sk_buff *ctx, const struct topolb_flow_key *key,
				const struct topolb_address *backend)
{
	struct topolb_flow_key to = {};
	struct bpf_fib_lookup lookup = {.ifindex = ctx->ifindex};
	long result;

	if (!key || !backend)
		return 0;
	to.source = key->source;
	to.destination = *backend;
	fill_addresses(&lookup, &to);
	result = bpf_fib_lookup(ctx, &lookup, sizeof(lookup), 0);
	return (result == BPF_FIB_LKUP_RET_SUCCESS || result == BPF_FIB_LKUP_RET_NO_NEIGH) &&
	       lookup.ifindex == ctx->ifindex;
}

/*
 * Who sees the client's address: every backend on this node; every backend of a pod, as
 * pods reach each other without translation, if its answers pass here; but never the client itself
 * (hairpin), which would take its own address for a forgery.
 */
static __always_inline int must_masquerade(struct __sk_buff *ctx, const struct packet *packet,
					   const struct topolb_backend *backend, int is_from_pod)
{
	if (same_address(&packet->key.source, &backend->address))
		return 1;
	if (is_from_pod)
		return topolb_is_beyond(ctx, &packet->key, &backend->address);
	return !(backend->flags & TOPOLB_BACKEND_LOCAL);
}

/* What a new flow is: TOPOLB_FLOW_MASQUERADED, _DIRECT or 0. */
static __always_inline __u32 kind_of_flow(struct __sk_buff *ctx, const struct packet *packet,
					  const struct topolb_backend *backend, int is_from_pod)
{
	if (!must_masquerade(ctx, packet, backend, is_from_pod))
		return 0;
	if (is_dsr_on() && !is_from_pod && !(backend->flags & TOPOLB_BACKEND_NODELESS) &&
	    !same_address(&packet->key.source, &backend->address))
		return TOPOLB_FLOW_DIRECT;
	return TOPOLB_FLOW_MASQUERADED;
}

/*
 * A flow for the first packet of one, and its id. Else NO_FLOW, and *action is FLOW_REFUSED if the
 * client is to be told, or the TC_ACT_* of the packet.
 */
__noinline __u32 topolb_open_flow(struct __sk_buff *ctx, const struct packet *packet,
				  const struct topolb_frontend_row *target,
				  const struct topolb_settings *config, int *action)
{
	if (!packet || !target || !config || !action)
		return NO_FLOW;

	struct topolb_choice choice = {};
	int is_from_pod = ctx->cb[0] != 0;
	__u32 verdict, kind;

	if (!may_begin(packet)) {
		count_event(TOPOLB_EVENT_UNKNOWN_FLOW);
		if (!(config->packet_flags & TOPOLB_PACKETS_HOLD_UNKNOWN_FLOWS))
			*action = FLOW_REFUSED;
		return NO_FLOW;
	}
	verdict = topolb_choose(packet, target, is_from_pod, &choice);
	if (verdict == TOPOLB_VERDICT_NONE)
		*action = TC_ACT_UNSPEC;
	else if (verdict == TOPOLB_VERDICT_REJECT)
		*action = FLOW_REFUSED;
	else if (verdict == TOPOLB_VERDICT_DROP)
		count_event(TOPOLB_EVENT_DROPPED);
	if (verdict != TOPOLB_VERDICT_FORWARD)
		return NO_FLOW;
	kind = kind_of_flow(ctx, packet, &choice.backend, is_from_pod);
	if (kind)
		choice.masquerade = masquerade_to(ctx, packet, &choice.backend.address, config);
	if (kind && !choice.masquerade) {
		count_event(TOPOLB_EVENT_FLOW_WITHOUT_PORT);
		return NO_FLOW;
	}
	return begin_flow(packet, &choice, kind, config);
}

/* As meet_flow(), for packets to a backend, which may be gone by now. */
static __always_inline int meet_clients_flow(struct __sk_buff *ctx, const struct packet *packet,
					     const struct found_flow *found,
					     const struct topolb_settings *config,
					     struct step *step)
{
	int state = meet_flow(ctx, packet, found, 0, config, step);

	if (state != FLOW_OVER && is_backend_gone(found->flow)) {
		if (packet->key.protocol == IPPROTO_TCP &&
		    config->packet_flags & TOPOLB_PACKETS_KEEP_TCP_OF_GONE_BACKENDS)
			return state;
		count_event(TOPOLB_EVENT_BACKEND_GONE);
		state = FLOW_OVER;
	}
	if (state == FLOW_OVER)
		close_flow(found->id, found->generation, config);
	return state;
}

static __always_inline int finish(struct __sk_buff *ctx, const struct packet *packet,
				  struct step *step, const struct topolb_settings *config)
{
	int action = send(ctx, packet, step, config);

	if (step->flags & STEP_ENDS)
		close_flow(step->flow_id, step->generation, config);
	return action;
}

/* Whether a packet may be the reply to a masqueraded one, which was sent to the node itself. */
static __always_inline int may_be_reply(const struct packet *packet,
					const struct topolb_settings *config)
{
	__u16 port = bpf_ntohs(packet->key.destination_port_be);

	return port >= config->masquerade_port_min && port <= config->masquerade_port_max &&
	       may_be_masquerade(packet->key.destination.bytes[15], config);
}

/* What becomes of a packet that may be a reply, but has no flow, nor a frontend. While the table is
 * being replaced its flow may be in the other one: the node itself would reset it. */
static __always_inline int pass_or_hold(const struct packet *packet,
					const struct topolb_settings *config)
{
	return config->packet_flags & TOPOLB_PACKETS_HOLD_UNKNOWN_FLOWS &&
			       may_be_reply(packet, config)
		       ? TC_ACT_SHOT
		       : TC_ACT_UNSPEC;
}

/* Says in *step what becomes of a packet of a client. Returns what meet_flow() does; FLOW_OVER,
 * too, if it has no flow. */
static __always_inline int meet_client(struct __sk_buff *ctx, const struct packet *packet,
				       const struct topolb_settings *config, struct step *step)
{
	struct found_flow found = find_recent_flow(&packet->key, is_syn(packet), 0, config);

	return found.flow ? meet_clients_flow(ctx, packet, &found, config, step) : FLOW_OVER;
}

/* The same of one that may be a reply: to the node, of a masqueraded flow, or on its way to the
 * client. */
static __always_inline int meet_reply(struct __sk_buff *ctx, const struct packet *packet,
				      __u32 is_masqueraded, const struct topolb_settings *config,
				      struct step *step)
{
	struct found_flow found = find_recent_flow(&packet->key, 0, 1, config);

	if (!found.flow || (found.flow->state & TOPOLB_FLOW_MASQUERADED) != is_masqueraded)
		return FLOW_OVER;
	return meet_flow(ctx, packet, &found, 1, config, step);
}

/* The same of one that may be the first to a frontend. Returns FLOW_BEGUN, or the TC_ACT_* of a
 * packet that begins no flow. */
static __always_inline int meet_frontend(struct __sk_buff *ctx, const struct packet *packet,
					 const struct topolb_settings *config, struct step *step)
{
	struct topolb_frontend_row *target = find_frontend(packet, config);
	struct found_flow found = {};
	int refusal = TC_ACT_SHOT;

	if (!target)
		return TC_ACT_UNSPEC;
	found.id = topolb_open_flow(ctx, packet, target, config, &refusal);
	if (found.id == NO_FLOW)
		return refusal == FLOW_REFUSED ? refuse(ctx, packet) : refusal;
	found.flow = flow_of(found.id);
	if (!found.flow)
		return TC_ACT_SHOT;
	found.generation = READ_ONCE(found.flow->generation);
	fill_step(&found, 0, config, step);
	/* It may have made room for another, on another CPU. */
	if (!is_clients_key(found.flow, &packet->key) || !is_still_there(&found))
		return TC_ACT_SHOT;
	return FLOW_BEGUN;
}

/* Whether it has ports, which fragments have of their first one. @pre *packet is zero. */
static __always_inline int read_ports(struct __sk_buff *ctx, struct packet *packet)
{
	return parse(ctx, packet) == PARSE_TRANSPORT &&
	       !(packet->fragment && fill_fragment_ports(packet));
}

/* Packets with ports, which are all but a few. Wherever a packet's step comes from, what is done
 * about it stands here once, and not behind a call. ctx->cb[0]: whether it comes from a pod. */
SEC("tc")
int topolb_serve_ingress(struct __sk_buff *ctx)
{
	struct topolb_settings *config = read_settings();
	struct packet packet = {};
	struct step step = {};

	if (!read_ports(ctx, &packet) || !config)
		return TC_ACT_UNSPEC;
	if (!may_be_reply(&packet, config) ||
	    meet_reply(ctx, &packet, TOPOLB_FLOW_MASQUERADED, config, &step) == FLOW_OVER) {
		__u16 port = bpf_ntohs(packet.key.destination_port_be);

		if (!may_have_port(&config->frontend_ports, port) || is_for_another(ctx))
			return pass_or_hold(&packet, config);
		/* A flow goes on without its frontend. */
		if (meet_client(ctx, &packet, config, &step) == FLOW_OVER) {
			int action = meet_frontend(ctx, &packet, config, &step);

			if (action == TC_ACT_UNSPEC)
				return pass_or_hold(&packet, config);
			if (action != FLOW_BEGUN)
				return action;
		}
	}
	return finish(ctx, &packet, &step, config);
}

SEC("tc")
int topolb_serve_egress(struct __sk_buff *ctx)
{
	struct topolb_settings *config = read_settings();
	struct packet packet = {};
	struct step step = {};

	if (!read_ports(ctx, &packet) || !config ||
	    !may_have_port(&config->backend_ports, bpf_ntohs(packet.key.source_port_be)) ||
	    meet_reply(ctx, &packet, 0, config, &step) == FLOW_OVER)
		return TC_ACT_UNSPEC;
	return finish(ctx, &packet, &step, config);
}

int topolb_serve_any_ingress(struct __sk_buff *ctx);
int topolb_serve_any_egress(struct __sk_buff *ctx);

enum { WORKER_INGRESS, WORKER_EGRESS, WORKER_ANY_INGRESS, WORKER_ANY_EGRESS, WORKERS };

/* The programs that write packets: those above, and those of packets that may have no ports. The
 * agent keeps it pinned: the kernel empties such a map once neither pin nor process holds it,
 * though programs in it hold it, too. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, WORKERS);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} workers SEC(".maps") = {
	.values =
		{
			[WORKER_INGRESS] = (void *)&topolb_serve_ingress,
			[WORKER_EGRESS] = (void *)&topolb_serve_egress,
			[WORKER_ANY_INGRESS] = (void *)&topolb_serve_any_ingress,
			[WORKER_ANY_EGRESS] = (void *)&topolb_serve_any_egress,
		},
};

/* Leaves the packet to a worker. The table of workers is empty when somebody has unpinned it. */
static __always_inline int leave_to(struct __sk_buff *ctx, __u32 worker)
{
	bpf_tail_call_static(ctx, &workers, worker);
	count_event(TOPOLB_EVENT_FAILED);
	return TC_ACT_UNSPEC;
}

/* A packet that was unwrapped: its flow is there, or it is refused. */
static __noinline int serve_unwrapped(struct __sk_buff *ctx, const struct packet *packet,
				      const struct topolb_settings *config)
{
	struct step step = {};

	if (meet_client(ctx, packet, config, &step) != FLOW_OVER)
		return finish(ctx, packet, &step, config);
	if (packet->key.protocol != IPPROTO_TCP ||
	    config->packet_flags & TOPOLB_PACKETS_HOLD_UNKNOWN_FLOWS)
		return TC_ACT_SHOT; /* it is over: the next packet opens another */
	count_event(TOPOLB_EVENT_UNKNOWN_FLOW);
	return refuse(ctx, packet);
}

/* Packets in or about which there are others: wrapped ones, ICMP errors; and those of which the
 * first look can't tell. */
SEC("tc")
int topolb_serve_any_ingress(struct __sk_buff *ctx)
{
	struct topolb_settings *config = read_settings();
	struct packet packet = {};
	int kind = parse(ctx, &packet), action = NOT_OURS;

	if (!config)
		return TC_ACT_UNSPEC;
	if (is_dsr_on() && !ctx->cb[0] && is_wrapper(kind, &packet)) {
		action = topolb_unwrap(ctx, &packet);
		if (action != UNWRAPPED)
			return action;
		if (is_forwarded_protocol(packet.key.protocol))
			return serve_unwrapped(ctx, &packet, config);
		return topolb_translate_icmp_error(ctx, &packet, 0);
	}
	if (kind == PARSE_TRANSPORT)
		return leave_to(ctx, WORKER_INGRESS);
	if (kind != PARSE_ICMP_ERROR)
		return TC_ACT_UNSPEC;
	if (is_dsr_on() && !ctx->cb[0])
		action = topolb_meet_wrapper_error(ctx, &packet);
	return action == NOT_OURS ? topolb_translate_icmp_error(ctx, &packet, 0) : action;
}

SEC("tc")
int topolb_serve_any_egress(struct __sk_buff *ctx)
{
	struct packet packet = {};
	int kind = parse(ctx, &packet);

	if (kind == PARSE_TRANSPORT)
		return leave_to(ctx, WORKER_EGRESS);
	return kind == PARSE_ICMP_ERROR ? topolb_translate_icmp_error(ctx, &packet, 1)
					: TC_ACT_UNSPEC;
}

/* Leaves a packet alone, or to a worker. */
static __always_inline int look_for(struct __sk_buff *ctx, __u32 worker, int is_from_pod)
{
	struct topolb_settings *config = read_settings();
	struct look look;
	int kind;

	if (!config)
		return TC_ACT_UNSPEC;
	kind = look_at(ctx, config, &look);
	if (kind == LOOK_NOT_OURS)
		return TC_ACT_UNSPEC;
	ctx->cb[0] = is_from_pod;
	if (kind != LOOK_PORTS)
		return leave_to(ctx,
				worker == WORKER_INGRESS ? WORKER_ANY_INGRESS : WORKER_ANY_EGRESS);
	if (worker == WORKER_INGRESS ? !may_be_for_us(&look, config)
				     : !may_have_port(&config->backend_ports, look.source_port))
		return TC_ACT_UNSPEC;
	return leave_to(ctx, worker);
}

/* Packets from outside the node. */
SEC("tc")
int topolb_ingress(struct __sk_buff *ctx)
{
	return look_for(ctx, WORKER_INGRESS, 0);
}

/* Packets that leave a pod, on the node's end of its device. */
SEC("tc")
int topolb_pod_ingress(struct __sk_buff *ctx)
{
	return look_for(ctx, WORKER_INGRESS, 1);
}

/* Packets to the clients of either: replies of flows that are not masqueraded. */
SEC("tc")
int topolb_egress(struct __sk_buff *ctx)
{
	return look_for(ctx, WORKER_EGRESS, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
