// SPDX-License-Identifier: Apache-2.0
#include "kube/lease_election.h"

#include "kube/micro_time.h"
#include "kube/time_text.h"

namespace topolb::kube {

LeaseElection::LeaseElection(std::string identity, LeaseTiming timing,
                             std::function<double()> random)
    : identity_(std::move(identity)), timing_(timing), random_(std::move(random)) {}

LeaseElection::Time LeaseElection::after(Time now, std::chrono::milliseconds most) const {
  return now + std::chrono::duration_cast<std::chrono::milliseconds>(most * random_());
}

void LeaseElection::want(bool wanted, Time now) {
  // A later look stays: what comes and goes must not make every node ask each time.
  if (wanted && !wanted_ && next_look_ <= now) next_look_ = after(now, timing_.first_look);
  wanted_ = wanted;
}

LeaseElection::Step LeaseElection::step(Time now) const {
  const auto next = next_step();
  if (!next || now < *next) return Step::None;
  if (!held_) return Step::Look;
  return wanted_ ? Step::Renew : Step::Release;
}

std::optional<LeaseElection::Time> LeaseElection::next_step() const {
  if (held_) return held_since_ + timing_.renew_every;
  if (wanted_) return next_look_;
  return std::nullopt;
}

bool LeaseElection::holds(Time now) const {
  return held_ && now < held_since_ + timing_.renew_deadline;
}

bool LeaseElection::may_take(const std::optional<Lease>& lease, Time now, WallTime wall_now) {
  if (!lease || lease->holder.empty() || lease->holder == identity_) return true;
  if (lease->resource_version != seen_version_) {
    seen_version_ = lease->resource_version;
    seen_since_ = now;
  }
  if (now - seen_since_ >= lease->duration) return true;
  const auto renewed = parse_time(lease->renewed);
  const bool looks_old = !renewed || *renewed + lease->duration < wall_now;
  next_look_ = looks_old ? after(seen_since_ + lease->duration, timing_.first_look)
                         : after(now + timing_.look_every, timing_.look_every);
  return false;
}

Lease LeaseElection::next_term(const std::optional<Lease>& seen, WallTime wall_now) const {
  Lease lease = seen.value_or(Lease{});
  lease.renewed = micro_time_text(wall_now);
  if (lease.holder != identity_) {
    lease.acquired = lease.renewed;
    if (seen) ++lease.transitions;
  }
  lease.holder = identity_;
  lease.duration = timing_.duration;
  return lease;
}

Lease LeaseElection::released(WallTime wall_now) const {
  Lease lease = *held_;
  lease.holder.clear();
  lease.renewed = micro_time_text(wall_now);
  return lease;
}

void LeaseElection::written(Lease lease, Time now) {
  if (lease.holder == identity_) {
    held_ = std::move(lease);
    held_since_ = now;
  } else {
    held_.reset();
  }
}

void LeaseElection::lost(Time now) {
  held_.reset();
  next_look_ = after(now, timing_.first_look);
}

}  // namespace topolb::kube
