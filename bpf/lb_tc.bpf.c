// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TC programs: Services for packets whose socket the cgroup hooks do not see, from outside
 * and from pods with a kernel or network stack of their own.
 *
 * Ingress finds the frontend, chooses (lb_select.bpf.h) and sends to the backend: through
 * the stack, with the client's address, if the replies pass here anyway; else masqueraded
 * and by its own route. Replies to masqueraded packets come back in at ingress, all others
 * are translated at egress of the client's device. Reads what the agent publishes and
 * writes affinities, counters, flows, fragments, reply_budgets and packet_events.
 *
 * TC_ACT_UNSPEC lets the next program or filter on the device have the packet.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define TOPOLB_PER_PACKET
#include "icmp.bpf.h"

/* Beside TC_ACT_*. */
#define FLOW_OPENED -2
#define FLOW_REFUSED -3

static __always_inline struct topolb_settings *read_settings(void)
{
	__u32 row = 0;

	return bpf_map_lookup_elem(&settings, &row);
}

static __always_inline int is_node_port(__be16 port_be, const struct topolb_settings *config)
{
	__u16 port = bpf_ntohs(port_be);

	return port >= config->node_port_min && port <= config->node_port_max;
}

/* NodePorts answer on those of the node's addresses that --nodeport-addresses says. */
static __always_inline struct topolb_frontend_target *
find_frontend(const struct packet *packet, const struct topolb_settings *config)
{
	struct topolb_frontend dialled = {
		.address = packet->key.destination,
		.port_be = packet->key.destination_port_be,
		.protocol = packet->key.protocol,
	};
	struct topolb_frontend_target *target = bpf_map_lookup_elem(&frontends, &dialled);

	if (target)
		return target;
	if (!is_node_port(dialled.port_be, config))
		return NULL;

	struct topolb_node_address *node = bpf_map_lookup_elem(&node_addresses, &dialled.address);

	if (!node || !(node->flags & TOPOLB_NODE_ADDRESS_NODE_PORTS))
		return NULL;
	dialled.address = unspecified_like(&dialled.address);
	return bpf_map_lookup_elem(&frontends, &dialled);
}

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

/* Chooses a backend for a new flow. Returns a TOPOLB_VERDICT_*. */
__noinline __u32 topolb_choose(const struct packet *packet,
			       const struct topolb_frontend_target *target, int is_from_pod,
			       struct topolb_choice *choice)
{
	if (!packet || !target || !choice)
		return TOPOLB_VERDICT_NONE;

	__u32 service_id = target->service_id, set_id, verdict;
	struct topolb_service *service = bpf_map_lookup_elem(&services, &service_id);
	struct topolb_set *set;

	if (!service)
		return TOPOLB_VERDICT_NONE;
	if (target->kind == TOPOLB_FRONTEND_CLUSTER_IP)
		set_id = service->internal_set;
	else
		set_id = is_from_pod ? service->node_set : service->external_set;
	set = bpf_map_lookup_elem(&sets, &set_id);
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

/*
 * Who sees the client's address: every backend on this node; every backend of a pod, as
 * pods reach each other without translation; but never the client itself (hairpin), which
 * would take its own address for a forgery.
 */
static __always_inline int must_masquerade(const struct packet *packet,
					   const struct topolb_backend *backend, int is_from_pod)
{
	if (same_address(&packet->key.source, &backend->address))
		return 1;
	return !is_from_pod && !(backend->flags & TOPOLB_BACKEND_LOCAL);
}

static __always_inline int add_flow(const struct packet *packet, const struct topolb_choice *choice,
				    __u32 service_id, int is_from_pod,
				    const struct topolb_settings *config)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct topolb_flow flow = {
		.translated =
			{
				.source = packet->key.source,
				.destination = choice->backend.address,
				.source_port_be = packet->key.source_port_be,
				.destination_port_be = choice->backend.port_be,
				.protocol = packet->key.protocol,
			},
		.touched_ns = now,
		.created_ns = now,
		.touched_tick = bpf_jiffies64(),
		.backend_id = choice->backend_id,
		.service_id = service_id,
		.topology_key_id = choice->topology_key_id,
	};

	if (must_masquerade(packet, &choice->backend, is_from_pod)) {
		flow.flags = TOPOLB_FLOW_MASQUERADED;
		flow.translated.source =
			packet->is_ipv4 ? config->masquerade_ipv4 : config->masquerade_ipv6;
		if (same_address(&flow.translated.source, &(struct topolb_address){}))
			return -1; /* the node has no address of this family */
	}
	return topolb_insert_flow(&packet->key, &flow, config);
}

/*
 * A flow for the first packet of one. Returns FLOW_OPENED, FLOW_REFUSED if the client is to
 * be told, or the TC_ACT_* of the packet.
 */
__noinline int topolb_open_flow(const struct packet *packet,
				const struct topolb_frontend_target *target, int is_from_pod,
				const struct topolb_settings *config)
{
	if (!packet || !target || !config)
		return TC_ACT_SHOT;

	struct topolb_choice choice = {};
	__u32 verdict;

	if (packet->key.protocol == IPPROTO_TCP &&
	    (packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN) {
		count_event(TOPOLB_EVENT_UNKNOWN_FLOW);
		return FLOW_REFUSED;
	}
	verdict = topolb_choose(packet, target, is_from_pod, &choice);
	if (verdict == TOPOLB_VERDICT_NONE)
		return TC_ACT_UNSPEC;
	if (verdict == TOPOLB_VERDICT_REJECT)
		return FLOW_REFUSED;
	if (verdict == TOPOLB_VERDICT_DROP) {
		count_event(TOPOLB_EVENT_DROPPED);
		return TC_ACT_SHOT;
	}
	if (add_flow(packet, &choice, target->service_id, is_from_pod, config)) {
		count_event(TOPOLB_EVENT_FLOW_REFUSED);
		return TC_ACT_SHOT;
	}
	return FLOW_OPENED;
}

/* As meet_flow(), for packets to a backend, which may be gone by now. */
static __always_inline int meet_client_flow(const struct packet *packet, struct topolb_flow *flow,
					    const struct topolb_settings *config)
{
	int state = meet_flow(packet, flow);

	if (state != FLOW_OVER && is_backend_gone(flow)) {
		if (packet->key.protocol == IPPROTO_TCP &&
		    config->packet_flags & TOPOLB_PACKETS_KEEP_TCP_OF_GONE_BACKENDS)
			return state;
		count_event(TOPOLB_EVENT_BACKEND_GONE);
		state = FLOW_OVER;
	}
	if (state == FLOW_OVER)
		close_flow(&packet->key);
	return state;
}

static __always_inline int finish(struct __sk_buff *ctx, const struct packet *packet,
				  struct topolb_flow *flow, int state)
{
	int action = send(ctx, packet, flow);

	if (state == FLOW_ENDING)
		close_flow(&packet->key);
	return action;
}

/* The entry of a reply to a masqueraded packet, which was sent to the node itself. */
static __always_inline struct topolb_flow *find_reply(const struct packet *packet,
						      const struct topolb_settings *config)
{
	__u16 port = bpf_ntohs(packet->key.destination_port_be);
	struct topolb_flow *flow;

	if (port < config->masquerade_port_min || port > config->masquerade_port_max ||
	    !same_address(&packet->key.destination,
			  packet->is_ipv4 ? &config->masquerade_ipv4 : &config->masquerade_ipv6))
		return NULL;
	flow = bpf_map_lookup_elem(&flows, &packet->key);
	if (!flow || flow->flags != (TOPOLB_FLOW_REPLY | TOPOLB_FLOW_MASQUERADED))
		return NULL;
	return flow;
}

static __always_inline struct topolb_flow *find_client_flow(const struct packet *packet)
{
	struct topolb_flow *flow = bpf_map_lookup_elem(&flows, &packet->key);

	return flow && !(flow->flags & TOPOLB_FLOW_REPLY) ? flow : NULL;
}

/* A packet with ports. Returns a TC_ACT_*. */
static __always_inline int serve(struct __sk_buff *ctx, struct packet *packet, int is_from_pod,
				 const struct topolb_settings *config)
{
	struct topolb_flow *flow = find_reply(packet, config);
	struct topolb_frontend_target *target;
	int state;

	if (flow) {
		state = meet_flow(packet, flow);
		return state == FLOW_OVER ? TC_ACT_UNSPEC : finish(ctx, packet, flow, state);
	}
	/* A NodePort takes two or three look-ups: first see whether one will do. */
	if (is_node_port(packet->key.destination_port_be, config))
		flow = find_client_flow(packet);
	target = flow ? NULL : find_frontend(packet, config);
	if ((!flow && !target) || ctx->pkt_type == PACKET_OTHERHOST)
		return TC_ACT_UNSPEC;
	if (!flow)
		flow = find_client_flow(packet);
	state = flow ? meet_client_flow(packet, flow, config) : FLOW_OVER;
	if (state == FLOW_OVER) {
		if (!target)
			target = find_frontend(packet, config);
		if (!target)
			return TC_ACT_UNSPEC;

		int action = topolb_open_flow(packet, target, is_from_pod, config);

		if (action == FLOW_REFUSED)
			return refuse(ctx, packet);
		if (action != FLOW_OPENED)
			return action;
		flow = bpf_map_lookup_elem(&flows, &packet->key);
		if (!flow)
			return TC_ACT_SHOT;
	}
	return finish(ctx, packet, flow, state);
}

static __always_inline int handle_ingress(struct __sk_buff *ctx, int is_from_pod)
{
	struct packet packet = {};
	struct topolb_settings *config = read_settings();
	int kind = parse(ctx, &packet);

	if (kind == PARSE_OTHER || !config)
		return TC_ACT_UNSPEC;
	if (kind == PARSE_ICMP_ERROR)
		return topolb_translate_icmp_error(ctx, &packet, 0);
	if (packet.fragment && fill_fragment_ports(&packet))
		return TC_ACT_UNSPEC;
	return serve(ctx, &packet, is_from_pod, config);
}

/* Packets from outside the node. */
SEC("tc")
int topolb_ingress(struct __sk_buff *ctx)
{
	return handle_ingress(ctx, 0);
}

/* Packets that leave a pod, on the node's end of its device. */
SEC("tc")
int topolb_pod_ingress(struct __sk_buff *ctx)
{
	return handle_ingress(ctx, 1);
}

/* Packets to the clients of either: replies of flows that are not masqueraded. */
SEC("tc")
int topolb_egress(struct __sk_buff *ctx)
{
	struct packet packet = {};
	struct topolb_flow *flow;
	int kind = parse(ctx, &packet), state;

	if (kind == PARSE_OTHER)
		return TC_ACT_UNSPEC;
	if (kind == PARSE_ICMP_ERROR)
		return topolb_translate_icmp_error(ctx, &packet, 1);
	if (packet.fragment && fill_fragment_ports(&packet))
		return TC_ACT_UNSPEC;
	flow = bpf_map_lookup_elem(&flows, &packet.key);
	if (!flow || flow->flags != TOPOLB_FLOW_REPLY)
		return TC_ACT_UNSPEC;
	state = meet_flow(&packet, flow);
	return state == FLOW_OVER ? TC_ACT_UNSPEC : finish(ctx, &packet, flow, state);
}

char _license[] SEC("license") = "Dual BSD/GPL";
