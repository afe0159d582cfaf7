// SPDX-License-Identifier: Apache-2.0
#include "kube/event_writer.h"

#include <algorithm>
#include <utility>

#include "kube/api_call.h"
#include "kube/event.h"

namespace topolb::kube {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongestSilence{60000};
// Longer than call_api() waits by itself.
constexpr milliseconds kOverloadWait{60000};
// A right may be granted, or a namespace stop being deleted.
constexpr milliseconds kRefusedWait{600000};
constexpr milliseconds kIdle{3600000};

bool is_refused(int status) { return status / 100 == 4 && status != kStatusTooManyRequests; }

milliseconds part_of(milliseconds whole, double part) {
  return std::chrono::duration_cast<milliseconds>(whole * part);
}

}  // namespace

EventWriter::EventWriter(EventWriterOptions options, Environment environment)
    : options_(std::move(options)),
      environment_(std::move(environment)),
      election_(options_.node_name, options_.lease, environment_.random),
      book_(options_.limits) {}

void EventWriter::set(EventProblems problems) {
  const std::lock_guard lock(mutex_);
  if (problems == last_) return;
  last_ = std::move(problems);
  new_ = last_;
  changed_.notify_all();
}

EventStatus EventWriter::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void EventWriter::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const auto wait = step(stop);
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, wait, [this] { return new_.has_value(); });
  }
}

milliseconds EventWriter::step(const std::stop_token& stop) {
  const Time now = environment_.now();
  take_over_problems(now);
  election_.want(book_.has_any(EventScope::Cluster), now);
  if (now >= lease_retry_.not_before && election_.step(now) != LeaseElection::Step::None) {
    conclude(elect(now, stop), lease_retry_);
  } else if (now >= event_retry_.not_before) {
    if (const auto problem = book_.take(now, election_.holds(now))) {
      conclude(write(*problem, now, stop), event_retry_);
    }
  }
  const Time after = environment_.now();
  publish_status(after);
  return std::chrono::ceil<milliseconds>(std::max(next_step(after) - after, Time::duration(0)));
}

void EventWriter::take_over_problems(Time now) {
  std::optional<EventProblems> problems;
  {
    const std::lock_guard lock(mutex_);
    problems = std::exchange(new_, std::nullopt);
  }
  if (!problems) return;
  for (auto* list : {&problems->of_cluster, &problems->of_node}) {
    std::erase_if(*list, [](const core::Problem& problem) { return !can_have_event(problem); });
  }
  book_.set(EventScope::Cluster, problems->of_cluster, now);
  // What is wrong with every node alike must not make them all speak at once.
  book_.set(EventScope::OwnNode, problems->of_node,
            now + part_of(options_.lease.first_look, environment_.random()));
}

Result<void> EventWriter::elect(Time now, const std::stop_token& stop) {
  switch (election_.step(now)) {
    case LeaseElection::Step::None:
      return {};
    case LeaseElection::Step::Renew:
      return write_lease_for(now, election_.next_term(election_.held(), environment_.wall_now()),
                             stop);
    case LeaseElection::Step::Release:
      return write_lease_for(now, election_.released(environment_.wall_now()), stop);
    case LeaseElection::Step::Look:
      break;
  }
  const auto lease = get_lease(environment_.api, {options_.lease_namespace, kEventLease}, stop);
  if (!lease) return lease.error();
  const auto wall_now = environment_.wall_now();
  if (!election_.may_take(*lease, now, wall_now)) return {};
  return write_lease_for(now, election_.next_term(*lease, wall_now), stop);
}

Result<void> EventWriter::write_lease_for(Time now, const Lease& lease,
                                          const std::stop_token& stop) {
  auto written =
      write_lease(environment_.api, {options_.lease_namespace, kEventLease}, lease, stop);
  if (written) {
    election_.written(std::move(*written), now);
    return {};
  }
  const int status = api_status_of(written.error());
  if (status != kStatusConflict && status != kStatusNotFound) return written.error();
  election_.lost(now);
  return {};
}

Result<void> EventWriter::write(const core::Problem& problem, Time now,
                                const std::stop_token& stop) {
  const auto written =
      write_event(environment_.api, problem,
                  {.node_name = options_.node_name, .now = environment_.wall_now()}, stop);
  if (written) {
    if (*written) ++counts_.written;
    book_.schedule(problem, now + options_.repeat_after +
                                part_of(options_.repeat_after / 4, environment_.random()));
    return {};
  }
  if (is_refused(api_status_of(written.error()))) book_.schedule(problem, now + kRefusedWait);
  return written.error();
}

void EventWriter::conclude(const Result<void>& outcome, Retry& retry) {
  if (outcome) {
    retry = {};
    return;
  }
  if (outcome.error().code == std::errc::operation_canceled) return;
  ++counts_.failed;
  retry.error = outcome.error().message();
  const int status = api_status_of(outcome.error());
  auto wait = retry.backoff.next(kLongestSilence, environment_.random());
  if (status == kStatusTooManyRequests) wait = std::max(wait, kOverloadWait);
  // One Event that is refused does not hold the others up: it is put off by itself.
  if (is_refused(status) && &retry == &lease_retry_) wait = kRefusedWait;
  retry.not_before = environment_.now() + wait;
}

EventWriter::Time EventWriter::next_step(Time now) const {
  Time next = now + kIdle;
  if (const auto due = election_.next_step()) {
    next = std::min(next, std::max(*due, lease_retry_.not_before));
  }
  if (const auto due = book_.next(election_.holds(now))) {
    next = std::min(next, std::max(*due, event_retry_.not_before));
  }
  return next;
}

void EventWriter::publish_status(Time now) {
  counts_.holds_lease = election_.holds(now);
  counts_.pending = book_.pending(now, counts_.holds_lease);
  counts_.error = lease_retry_.error.empty() ? event_retry_.error : lease_retry_.error;
  const std::lock_guard lock(mutex_);
  status_ = counts_;
}

}  // namespace topolb::kube
