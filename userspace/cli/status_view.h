// SPDX-License-Identifier: Apache-2.0
// The state of a node's load balancer, as text and JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "cli/map_facts.h"
#include "dataplane/pins.h"

namespace topolb::cli {

/// The flow table of the per-packet path; counts are since it was made.
struct FlowPressure {
  std::uint32_t flows = 0;
  std::uint32_t room = 0;
  std::uint64_t opened = 0;
  std::uint64_t evicted = 0;         // unanswered or long idle: made room for others
  std::uint64_t refused = 0;         // for want of room
  std::uint64_t without_port = 0;    // refused for want of a source port
  std::uint64_t direct_refused = 0;  // --dsr: packets that a backend's node did not know
};

struct StatusView {
  bool agent_running = false;
  std::string node;
  std::string pin_path;
  std::uint32_t layout_version = 0;
  std::uint64_t published_s = 0;  // CLOCK_REALTIME; 0: never
  std::uint64_t heard_s = 0;      // the same, of the API server's last word; 0: files are followed
  std::uint64_t now_s = 0;
  std::uint64_t publications = 0;
  std::size_t service_ports = 0;
  std::size_t frontends = 0;
  std::size_t usable_backends = 0;
  std::size_t unusable_backends = 0;
  std::optional<FlowPressure> flows;  // none: the per-packet path was never on
  std::vector<dataplane::Hook> hooks;
  std::vector<MapFacts> maps;

  [[nodiscard]] std::uint64_t age_s() const {
    return now_s > published_s ? now_s - published_s : 0;
  }
  [[nodiscard]] std::uint64_t silence_s() const { return now_s > heard_s ? now_s - heard_s : 0; }
  /// What a working load balancer has and this one lacks; empty: it works.
  [[nodiscard]] std::vector<std::string> missing() const;
};

void print_status(std::ostream& out, const StatusView& status);
void print_status_json(std::ostream& out, const StatusView& status);

}  // namespace topolb::cli
