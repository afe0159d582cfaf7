// SPDX-License-Identifier: Apache-2.0
#include "kube/event_book.h"

#include <algorithm>
#include <utility>

namespace topolb::kube {

void EventBook::set(EventScope scope, const std::vector<core::Problem>& problems, Time due) {
  auto before = std::exchange(entries_, {});
  for (auto entry = before.begin(); entry != before.end();) {
    const auto next = std::next(entry);
    if (entry->second.scope != scope) entries_.insert(before.extract(entry));
    entry = next;
  }
  for (const core::Problem& problem : problems) {
    const auto known = before.find(problem);
    entries_.insert_or_assign(problem,
                              Entry{scope, known != before.end() ? known->second.due : due});
  }
}

EventBook::Time EventBook::next_of(const core::Problem& problem, const Entry& entry) const {
  const auto bucket = buckets_.find({problem.kind, problem.namespace_name, problem.name});
  const Time allowed =
      bucket != buckets_.end() ? bucket->second.next(limits_.of_object) : Time::min();
  return std::max({entry.due, allowed, all_.next(limits_.of_all)});
}

std::optional<core::Problem> EventBook::take(Time now, bool as_holder) {
  const std::pair<const core::Problem, Entry>* longest_due = nullptr;
  for (const auto& entry : entries_) {
    if (!as_holder && entry.second.scope == EventScope::Cluster) continue;
    if (next_of(entry.first, entry.second) > now) continue;
    if (longest_due == nullptr || entry.second.due < longest_due->second.due) longest_due = &entry;
  }
  if (longest_due == nullptr) return std::nullopt;
  const core::Problem& problem = longest_due->first;
  std::erase_if(buckets_, [&](const auto& bucket) { return bucket.second.is_full(now); });
  buckets_[{problem.kind, problem.namespace_name, problem.name}].take(limits_.of_object, now);
  all_.take(limits_.of_all, now);
  return problem;
}

void EventBook::schedule(const core::Problem& problem, Time due) {
  const auto entry = entries_.find(problem);
  if (entry != entries_.end()) entry->second.due = due;
}

std::optional<EventBook::Time> EventBook::next(bool as_holder) const {
  std::optional<Time> next;
  for (const auto& [problem, entry] : entries_) {
    if (!as_holder && entry.scope == EventScope::Cluster) continue;
    const Time at = next_of(problem, entry);
    next = next ? std::min(*next, at) : at;
  }
  return next;
}

std::size_t EventBook::pending(Time now, bool as_holder) const {
  return static_cast<std::size_t>(std::ranges::count_if(entries_, [&](const auto& entry) {
    return entry.second.due <= now && (as_holder || entry.second.scope == EventScope::OwnNode);
  }));
}

bool EventBook::has_any(EventScope scope) const {
  return std::ranges::any_of(entries_,
                             [&](const auto& entry) { return entry.second.scope == scope; });
}

}  // namespace topolb::kube
