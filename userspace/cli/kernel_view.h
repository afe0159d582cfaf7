// SPDX-License-Identifier: Apache-2.0
// What the pinned maps say, made ready to be shown. The views hold no map, so that showing them
// needs none.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/json.h"
#include "core/plan.h"
#include "dataplane/kernel_state.h"

namespace topolb::cli {

struct BackendView {
  std::uint32_t id = 0;
  SocketAddress address;
  bool usable = false;
};

struct TierView {
  std::string key;  // "": the Service has no keys in force
  bool terminating = false;
  std::vector<BackendView> backends;  // by id
};

/// One kind of traffic to a Service port, as the kernel would decide now.
struct TrafficView {
  core::Verdict verdict = core::Verdict::Reject;
  std::vector<std::uint32_t> set_ids;  // head first
  std::vector<TierView> tiers;         // in order of preference, none empty

  /// The first tier with a usable backend; null: none has.
  [[nodiscard]] const TierView* effective() const;
  /// The usable backends of the effective tier, sorted as strings.
  [[nodiscard]] std::vector<std::string> backends() const;
  /// Different backends in all tiers.
  [[nodiscard]] std::size_t known_backends() const;
};

/// Connections that one key took.
struct KeyCounter {
  std::string key;  // "": unknown, because the tier has no backends now
  std::uint64_t connections = 0;
};

struct ServiceView {
  std::uint32_t id = 0;
  core::ServicePortKey key;
  std::string port_name;
  std::vector<core::Frontend> frontends;  // sorted
  std::uint32_t affinity_timeout_s = 0;
  TrafficView internal;
  std::optional<TrafficView> external;
  std::optional<TrafficView> node_external;
  std::uint64_t refused = 0;
  std::uint64_t without_key = 0;
  std::vector<KeyCounter> by_key;  // in order of preference
};

/// The maps of a pin path, and what they said at one moment.
struct KernelSnapshot {
  dataplane::KernelMaps maps;
  dataplane::KernelState state;
  std::map<std::uint32_t, const dataplane::KernelService*> services;  // by id, into `state`

  /// null: no such service id.
  [[nodiscard]] const dataplane::KernelService* service(std::uint32_t id) const;
};

/// None: the exit code is in `exit_code`, the reason went to stderr.
std::optional<KernelSnapshot> read_kernel(const Invocation& call, int& exit_code);

ServiceView view_of(const dataplane::KernelService& service, const dataplane::KernelMaps& maps);

std::string node_name_of(const topolb_settings& settings);
/// "default/web 80/TCP", with " v6" if it is IPv6.
std::string service_port_text(const core::ServicePortKey& key);
/// Namespace, name, port, family; null if `service` is.
Json service_port_json(const dataplane::KernelService* service);

}  // namespace topolb::cli
