// SPDX-License-Identifier: Apache-2.0
// What is programmed, read back from the maps and decoded: for `topolb service|backend|map`, for
// metrics, and for an agent that takes over. Read while others write: each Service is seen whole
// (its set or the one before), but not all Services at one instant.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/plan.h"
#include "dataplane/kernel_maps.h"

namespace topolb::dataplane {

struct KernelTier {
  std::string key;  // "" without topology keys
  bool terminating = false;
  std::uint32_t set_id = 0;                // the one of the chain that holds the tier
  std::uint32_t first_line = 0;            // as in topolb_set
  std::uint32_t counter = 0;               // offset in the Service's counters
  std::vector<std::uint32_t> backend_ids;  // ascending
};

/// A set with its chain.
struct KernelSet {
  std::vector<std::uint32_t> set_ids;  // head first
  core::Verdict verdict = core::Verdict::Reject;
  std::uint32_t affinity_timeout_s = 0;
  std::vector<KernelTier> tiers;
};

struct KernelService {
  std::uint32_t id = 0;
  core::ServicePortKey key;
  std::string port_name;
  std::uint32_t first_counter = 0;
  std::uint32_t counter_count = 0;
  std::vector<core::Frontend> frontends;  // sorted
  KernelSet internal;                     // without set ids: its ClusterIP is not served
  std::optional<KernelSet> external;
  std::optional<KernelSet> node_external;
};

struct KernelState {
  std::vector<KernelService> services;  // sorted by key
  /// Frontends whose service is gone (an agent was killed between two writes).
  std::vector<topolb_frontend> orphan_frontends;
};

KernelState read_kernel_state(const KernelMaps& maps);

/// By id.
std::map<std::uint32_t, std::string> topology_key_names(const KernelMaps& maps);

/// The first tier of a set that has a usable backend now, as the kernel would walk; null: none.
const KernelTier* effective_tier(const KernelSet& set, const KernelMaps& maps);

/// The backend id in a slot of a set's tier; null: beyond the maps.
const std::uint32_t* slot_of(const KernelMaps& maps, std::uint32_t set_id, std::uint32_t slot);
/// What a row is found by.
topolb_frontend key_of(const topolb_frontend_row& row);

// Conversions between core's host-order values and the wire layout.
topolb_address to_wire(const IpAddress& address);
IpAddress from_wire(const topolb_address& address);
topolb_frontend to_wire(const core::Frontend& frontend, Protocol protocol);
SocketAddress from_wire(const topolb_backend& backend);

}  // namespace topolb::dataplane
