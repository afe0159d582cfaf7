// SPDX-License-Identifier: Apache-2.0
// When to look at a Lease, whether it may be taken, and for how long it is ours: the rules of
// client-go's leader election, with longer times, since those who wait are as many as the nodes.
// Pure: time and chance are passed in.
//
// Clocks of two nodes are never compared to decide: a Lease is free when this node has seen it
// unchanged for as long as it is good for. (That it looks old by the clock only hastens the second
// look.) Who renews later than the deadline, which is shorter, stops before another may begin.
// Source: client-go tools/leaderelection.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "kube/lease.h"

namespace topolb::kube {

struct LeaseTiming {
  std::chrono::seconds duration{60};  // how long it is good for
  std::chrono::milliseconds renew_every{20000};
  std::chrono::milliseconds renew_deadline{40000};  // shorter than `duration`
  /// Who begins to want it looks at it after a random part of this, ...
  std::chrono::milliseconds first_look{30000};
  /// ... and if somebody else has it, after this and up to twice as long.
  std::chrono::milliseconds look_every{300000};
};

class LeaseElection {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using WallTime = std::chrono::system_clock::time_point;
  enum class Step : std::uint8_t { None, Look, Renew, Release };

  /// `random`: 0 <= x < 1.
  LeaseElection(std::string identity, LeaseTiming timing, std::function<double()> random);

  void want(bool wanted, Time now);
  /// What to do now. Look: read the Lease and ask may_take(). Renew: write next_term(). Release:
  /// write released().
  [[nodiscard]] Step step(Time now) const;
  /// When step() is something, if nothing else happens; none: never.
  [[nodiscard]] std::optional<Time> next_step() const;
  [[nodiscard]] bool holds(Time now) const;

  /// Judges what was read (none: there is no Lease). True: write next_term() of it.
  bool may_take(const std::optional<Lease>& lease, Time now, WallTime wall_now);
  /// The Lease to write, in place of `seen`.
  [[nodiscard]] Lease next_term(const std::optional<Lease>& seen, WallTime wall_now) const;
  /// What step() Renew or Release is about.
  [[nodiscard]] const std::optional<Lease>& held() const { return held_; }
  [[nodiscard]] Lease released(WallTime wall_now) const;

  /// It was written. `now`: from before the request.
  void written(Lease lease, Time now);
  /// It was somebody else's, or has been changed: look again, soon.
  void lost(Time now);

 private:
  [[nodiscard]] Time after(Time now, std::chrono::milliseconds most) const;

  std::string identity_;
  LeaseTiming timing_;
  std::function<double()> random_;
  bool wanted_ = false;
  std::optional<Lease> held_;  // as written last
  Time held_since_{};          // the last time
  std::string seen_version_;   // of another's, as first seen at seen_since_
  Time seen_since_{};
  Time next_look_{};
};

}  // namespace topolb::kube
