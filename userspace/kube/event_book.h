// SPDX-License-Identifier: Apache-2.0
// Which problem's Event is to be written next, and when: each once, again while it lasts, not too
// many of one object and not too many at all. Pure: time is passed in.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/model.h"

namespace topolb::kube {

/// `burst` at once, then one each `every`.
struct RateLimit {
  unsigned burst = 1;
  std::chrono::milliseconds every{};
};

/// A token bucket, as the time when it will be full.
class TokenBucket {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// When the next token is there: not after `now` if there is one.
  [[nodiscard]] Time next(const RateLimit& limit) const {
    return full_at_ - limit.every * (limit.burst - 1);
  }
  void take(const RateLimit& limit, Time now) { full_at_ = std::max(full_at_, now) + limit.every; }
  [[nodiscard]] bool is_full(Time now) const { return full_at_ <= now; }

 private:
  Time full_at_{};
};

struct EventLimits {
  RateLimit of_object{25, std::chrono::minutes(5)};  // as client-go's
  RateLimit of_all{25, std::chrono::milliseconds(500)};
};

/// Who writes it: the node that holds the Lease, or the one that the problem is about.
enum class EventScope : std::uint8_t { Cluster, OwnNode };

class EventBook {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit EventBook(EventLimits limits) : limits_(limits) {}

  /// The problems of a scope that there are now. Those that were not there before are due at
  /// `due`; those that are no more are forgotten.
  void set(EventScope scope, const std::vector<core::Problem>& problems, Time due);
  /// The one that has been due for longest, if the limits let it, which it then counts for. The
  /// caller says with schedule() when it is due again. `as_holder`: of both scopes; else of the own
  /// node only.
  std::optional<core::Problem> take(Time now, bool as_holder);
  void schedule(const core::Problem& problem, Time due);
  /// When take() has one, if nothing else happens; none: never.
  [[nodiscard]] std::optional<Time> next(bool as_holder) const;
  /// How many are due.
  [[nodiscard]] std::size_t pending(Time now, bool as_holder) const;
  [[nodiscard]] bool has_any(EventScope scope) const;

 private:
  struct Entry {
    EventScope scope = EventScope::Cluster;
    Time due{};
  };
  using Object = std::tuple<std::string, std::string, std::string>;  // kind, namespace, name

  [[nodiscard]] Time next_of(const core::Problem& problem, const Entry& entry) const;

  EventLimits limits_;
  std::map<core::Problem, Entry> entries_;
  std::map<Object, TokenBucket> buckets_;  // those that are not full
  TokenBucket all_;
};

}  // namespace topolb::kube
