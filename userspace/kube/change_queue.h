// SPDX-License-Identifier: Apache-2.0
// Changes of several reflectors, put together into one batch: of each object, what came last.
// Pure state. Not thread-safe: one owner, or a lock around it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/model.h"
#include "kube/known_objects.h"

namespace topolb::kube {

/// The same shape as ManifestChanges, so that the agent treats both sources alike.
struct ClusterChanges {
  std::vector<DecodedObject> put;       // sorted by id
  std::vector<ObjectId> removed;        // sorted
  std::vector<core::Problem> problems;  // all as of now that belong to no object in force; sorted
};

class ChangeQueue {
 public:
  void push(std::vector<Change> changes);
  /// Everything since the last call.
  ClusterChanges take();

  /// The selector of the last complete list that take() has returned all of; null: none.
  [[nodiscard]] const std::optional<std::string>* taken_list(ListId list) const;

 private:
  std::map<ObjectId, Change> pending_;  // Put or Remove
  std::map<ListId, std::optional<std::string>> pending_lists_;
  std::map<ListId, std::optional<std::string>> taken_lists_;
  std::map<ObjectId, std::vector<core::Problem>> unreadable_;
};

}  // namespace topolb::kube
