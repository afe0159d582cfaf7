// SPDX-License-Identifier: Apache-2.0
#include "kube/change_queue.h"

#include <algorithm>
#include <iterator>
#include <type_traits>

namespace topolb::kube {

void ChangeQueue::push(std::vector<Change> changes) {
  for (Change& change : changes) {
    if (auto* put = std::get_if<Put>(&change)) {
      const ObjectId id = put->object.id;
      unreadable_.erase(id);
      pending_.insert_or_assign(id, std::move(change));
    } else if (const auto* removed = std::get_if<Remove>(&change)) {
      const ObjectId id = removed->id;
      unreadable_.erase(id);
      pending_.insert_or_assign(id, std::move(change));
    } else if (auto* kept = std::get_if<Keep>(&change)) {
      unreadable_[kept->id] = std::move(kept->problems);
    } else if (auto* synced = std::get_if<Synced>(&change)) {
      pending_lists_[synced->list] = std::move(synced->field_selector);
    }
  }
}

ClusterChanges ChangeQueue::take() {
  ClusterChanges batch;
  for (auto& [id, change] : pending_) {
    if (auto* put = std::get_if<Put>(&change)) {
      batch.put.push_back(std::move(put->object));
    } else {
      batch.removed.push_back(id);
    }
  }
  pending_.clear();
  for (const auto& [id, problems] : unreadable_) {
    std::ranges::copy(problems, std::back_inserter(batch.problems));
  }
  std::ranges::sort(batch.problems);
  for (auto& [list, selector] : pending_lists_) taken_lists_[list] = std::move(selector);
  pending_lists_.clear();
  return batch;
}

const std::optional<std::string>* ChangeQueue::taken_list(ListId list) const {
  const auto found = taken_lists_.find(list);
  return found != taken_lists_.end() ? &found->second : nullptr;
}

}  // namespace topolb::kube
