// SPDX-License-Identifier: Apache-2.0
// Problems become Events: those of objects that every node sees alike, by the one node that holds
// a Lease; those of this node, by its own agent. What the API server cannot be told now is told
// later, if it is still so then.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/model.h"
#include "kube/api.h"
#include "kube/backoff.h"
#include "kube/event_book.h"
#include "kube/lease_election.h"

namespace topolb::kube {

/// All that there are now; each sorted.
struct EventProblems {
  std::vector<core::Problem> of_cluster;
  std::vector<core::Problem> of_node;  // of this one
  bool operator==(const EventProblems&) const = default;
};

struct EventWriterOptions {
  std::string node_name;  // also the Lease's holderIdentity: a restart keeps it
  std::string lease_namespace;
  LeaseTiming lease;  // its first_look also delays the Events of the own node
  EventLimits limits;
  /// A problem that is still there is written again, after this and up to a quarter longer: API
  /// servers forget Events after an hour.
  std::chrono::milliseconds repeat_after{std::chrono::minutes(40)};
};

inline constexpr const char* kEventLease = "topolb-events";

struct EventStatus {
  std::uint64_t written = 0;
  std::uint64_t failed = 0;  // requests refused or unanswered; they are tried again
  std::size_t pending = 0;   // to be written by this node, but not yet
  bool holds_lease = false;
  std::string error;  // of the last try; "": it went well
};

class EventWriter {
 public:
  /// Where the world comes in.
  struct Environment {
    Api& api;
    std::function<std::chrono::steady_clock::time_point()> now;
    std::function<std::chrono::system_clock::time_point()> wall_now;
    std::function<double()> random;  // 0 <= x < 1
  };

  EventWriter(EventWriterOptions options, Environment environment);

  /// Thread-safe; never waits for the API server.
  void set(EventProblems problems);
  [[nodiscard]] EventStatus status() const;

  /// Steps, with the waits in between, until `stop`, which ends it at once.
  void run(const std::stop_token& stop);
  /// At most one turn of the election, or one Event. Returns how long to wait before the next step
  /// if nothing changes.
  std::chrono::milliseconds step(const std::stop_token& stop);

 private:
  using Time = std::chrono::steady_clock::time_point;

  /// Of one sort of requests: when the next one may be tried.
  struct Retry {
    Backoff backoff;
    Time not_before{};
    std::string error;
  };

  void take_over_problems(Time now);
  Result<void> elect(Time now, const std::stop_token& stop);
  Result<void> write_lease_for(Time now, const Lease& lease, const std::stop_token& stop);
  Result<void> write(const core::Problem& problem, Time now, const std::stop_token& stop);
  void conclude(const Result<void>& outcome, Retry& retry);
  [[nodiscard]] Time next_step(Time now) const;
  void publish_status(Time now);

  EventWriterOptions options_;
  Environment environment_;
  LeaseElection election_;
  EventBook book_;
  Retry lease_retry_;
  Retry event_retry_;
  EventStatus counts_;

  mutable std::mutex mutex_;  // what follows
  std::condition_variable_any changed_;
  EventProblems last_;
  std::optional<EventProblems> new_;
  EventStatus status_;
};

}  // namespace topolb::kube
