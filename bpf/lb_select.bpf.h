/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a frontend to a backend; shared by every hook, knows no context type.
 *
 * Reads the arrays that the agent publishes (maps/layout.h) and backends[].state,
 * which anybody may flip: the walk below takes the first tier that has a usable
 * backend at this moment, so failing over needs no userspace. A set id, once
 * read from its frontend, stays valid to the end of the program run: the agent
 * reuses rows only after an RCU grace period.
 *
 * Costs: the first tier that has only usable backends is left after one random
 * number and one or two array reads, however many backends or Services there are.
 */
#ifndef TOPOLB_LB_SELECT_BPF_H
#define TOPOLB_LB_SELECT_BPF_H

#include "lb_frontend.bpf.h"

#define NSEC_PER_SEC 1000000000ULL

/* In: the backend to keep if it is still in the effective tier (id 0: none) and
 * where it stood. Out: the backend chosen, valid if the verdict is forward. */
struct topolb_choice {
	__u32 backend_id;
	__u32 slot;
	__u32 topology_key_id; /* out: of the tier */
	__u32 masquerade;      /* per-packet path: row of the address that the backend sees */
	struct topolb_backend backend;
};

static __always_inline int is_forwarded_protocol(__u32 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

/* The backend id in a slot of a set's tier; 0 if there is none. */
static __always_inline __u32 backend_in_slot(const struct topolb_set *set, __u32 slot)
{
	__u32 line_id = set->first_line + slot / TOPOLB_SLOTS_PER_LINE;
	struct topolb_slot_line *line;

	if (!set->first_line)
		return slot < TOPOLB_SLOTS_PER_SET ? set->backend_ids[slot] : 0;
	line = bpf_map_lookup_elem(&slots, &line_id);
	return line ? line->backend_ids[slot % TOPOLB_SLOTS_PER_LINE] : 0;
}

static __always_inline int take_if_usable(__u32 backend_id, __u32 slot,
					  struct topolb_choice *choice)
{
	struct topolb_backend *backend = bpf_map_lookup_elem(&backends, &backend_id);

	if (!backend || backend->state != TOPOLB_BACKEND_USABLE)
		return 0;
	choice->backend_id = backend_id;
	choice->slot = slot;
	choice->backend = *backend;
	return 1;
}

struct search {
	const struct topolb_set *set;
	__u32 backend_id;
	__u32 low, high;
	__u32 pad; /* 0: no byte of the stack is left as it was */
};

static long search_step(__u32 step __attribute__((unused)), void *data)
{
	struct search *search = data;
	__u32 middle = search->low + (search->high - search->low) / 2;

	if (search->low >= search->high)
		return 1;
	if (backend_in_slot(search->set, middle) < search->backend_id)
		search->low = middle + 1;
	else
		search->high = middle;
	return 0;
}

/* Where a backend id stands in a tier (its ids ascend); backend_count if nowhere. */
static __always_inline __u32 find_slot(const struct topolb_set *set, __u32 backend_id)
{
	struct search search = {
		.set = set,
		.backend_id = backend_id,
		.high = set->backend_count,
	};

	/* bpf_loop: the verifier reads one step, not all of them. */
	bpf_loop(TOPOLB_MAX_SEARCH_STEPS, search_step, &search, 0);
	if (search.low < set->backend_count && backend_in_slot(set, search.low) == backend_id)
		return search.low;
	return set->backend_count;
}

struct walk {
	const struct topolb_set *set;
	__u32 backend_count;
	__u32 first;
	struct topolb_choice *choice;
};

static long walk_step(__u32 step, void *data)
{
	struct walk *walk = data;
	__u32 slot = walk->first + step;

	if (slot >= walk->backend_count)
		slot -= walk->backend_count;
	return take_if_usable(backend_in_slot(walk->set, slot), slot, walk->choice);
}

/*
 * Takes a usable backend of a set's tier; 0 if it has none. The preferred backend
 * of `choice` if it is a usable one of this tier, else a random one: some random
 * probes, then, so that no usable backend is missed, a walk over the tier.
 *
 * A global function: the verifier reads it once, not once per tier.
 */
__noinline int topolb_take_from_tier(const struct topolb_set *set, struct topolb_choice *choice)
{
	if (!set || !choice || !set->backend_count)
		return 0;

	if (choice->backend_id) {
		__u32 slot = choice->slot;

		if (slot >= set->backend_count || backend_in_slot(set, slot) != choice->backend_id)
			slot = find_slot(set, choice->backend_id);
		if (slot < set->backend_count && take_if_usable(choice->backend_id, slot, choice))
			return 1;
	}

	__u32 count = set->backend_count, slot = 0;

	for (int probe = 0; probe < TOPOLB_RANDOM_PROBES; probe++) {
		slot = ((__u64)bpf_get_prandom_u32() * count) >> 32;
		if (take_if_usable(backend_in_slot(set, slot), slot, choice))
			return 1;
		if (count == 1)
			return 0;
	}

	struct walk walk = {
		.set = set,
		.backend_count = count,
		.first = slot,
		.choice = choice,
	};
	__u32 preferred = choice->backend_id;

	choice->backend_id = 0;
	bpf_loop(count, walk_step, &walk, 0);
	if (choice->backend_id)
		return 1;
	choice->backend_id = preferred; /* a later tier may have it */
	return 0;
}

static __always_inline void count(__u32 counter_id)
{
	__u32 row = bpf_get_smp_processor_id() * counters_per_cpu() + counter_id;
	struct topolb_counter *counter = bpf_map_lookup_elem(&counters, &row);

	if (counter)
		counter->connections++;
}

/* Walks the tiers of a set. Returns a TOPOLB_VERDICT_* and counts it. */
static __always_inline __u32 walk_tiers(const struct topolb_set *head, struct topolb_choice *choice)
{
	const struct topolb_set *set = head;

	for (int chain = 0; chain < TOPOLB_MAX_TIERS; chain++) {
		if (topolb_take_from_tier(set, choice)) {
			count(head->first_counter + set->counter);
			choice->topology_key_id = set->topology_key_id;
			return TOPOLB_VERDICT_FORWARD;
		}
		__u32 next_set = set->next_set;

		if (!next_set)
			break;
		set = bpf_map_lookup_elem(&sets, &next_set);
		if (!set)
			break;
	}
	count(head->first_counter);
	return head->verdict == TOPOLB_VERDICT_DROP ? TOPOLB_VERDICT_DROP : TOPOLB_VERDICT_REJECT;
}

/*
 * ClientIP affinity. The entry only proposes a backend: the walk re-chooses one
 * that has left the effective tier. Each new connection starts the timeout anew,
 * as kube-proxy's rules do.
 */
static __always_inline void propose_affinity(const struct topolb_set *head,
					     const struct topolb_affinity_key *client,
					     struct topolb_choice *choice)
{
	struct topolb_affinity *entry = bpf_map_lookup_elem(&affinities, client);

	if (!entry ||
	    bpf_ktime_get_ns() - entry->last_used_ns >= head->affinity_timeout_s * NSEC_PER_SEC)
		return;
	choice->backend_id = entry->backend_id;
	choice->slot = entry->slot;
}

static __always_inline void remember_affinity(const struct topolb_affinity_key *client,
					      const struct topolb_choice *choice)
{
	struct topolb_affinity *entry = bpf_map_lookup_elem(&affinities, client);
	struct topolb_affinity fresh = {
		.last_used_ns = bpf_ktime_get_ns(),
		.backend_id = choice->backend_id,
		.slot = choice->slot,
	};

	if (entry) /* in place: no eviction */
		*entry = fresh;
	else
		bpf_map_update_elem(&affinities, client, &fresh, BPF_ANY);
}

#endif
