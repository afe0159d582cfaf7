// SPDX-License-Identifier: Apache-2.0
// What the agent's loop tells the HTTP server. Thread-safe: the loop writes, handlers read.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/source.h"
#include "core/model.h"
#include "dataplane/packet_events.h"
#include "dataplane/publisher.h"
#include "kube/event_writer.h"

namespace topolb::agent {

struct Status {
  bool node_eligible = true;       // for load balancers: this Node is not about to go
  bool ready = false;              // the first complete state is in the kernel, hooks attached
  std::uint64_t started_ns = 0;    // all times CLOCK_REALTIME
  std::uint64_t published_ns = 0;  // last time the kernel was brought to the newest state
  std::uint64_t heartbeat_ns = 0;  // last turn of the loop
  std::uint64_t changes = 0;       // operations executed since the start
  std::uint64_t replans = 0;
  double last_replan_seconds = 0;  // objects to kernel
  std::size_t service_ports = 0;
  std::vector<core::Problem> problems;  // sorted
  std::vector<dataplane::MapFill> fill;
  std::size_t packet_devices = 0;                     // that the per-packet path is on
  std::vector<dataplane::PacketEvent> packet_events;  // empty: it is not loaded
  dataplane::MapFill flows;
  std::optional<kube::EventStatus> events;  // none: nobody to tell
  std::uint64_t ended_sockets = 0;          // UDP sockets of backends that are gone
  std::vector<SourceAge> source_ages;       // empty: a directory, which can't be away

  /// Of every map, the flow table too.
  [[nodiscard]] std::vector<dataplane::MapFill> all_fill() const {
    auto all = fill;
    if (flows.capacity != 0) all.push_back(flows);
    return all;
  }
};

class StatusBoard {
 public:
  void update(Status status) {
    const std::lock_guard lock(mutex_);
    status_ = std::move(status);
  }
  [[nodiscard]] Status read() const {
    const std::lock_guard lock(mutex_);
    return status_;
  }
  [[nodiscard]] std::uint64_t heartbeat_ns() const {
    const std::lock_guard lock(mutex_);
    return status_.heartbeat_ns;
  }

 private:
  mutable std::mutex mutex_;
  Status status_;
};

}  // namespace topolb::agent
