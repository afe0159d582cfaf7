// SPDX-License-Identifier: Apache-2.0
// A ClusterSource followed as an agent would: its batches, applied.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "kube/cluster_source.h"

namespace topolb::kube {

using namespace std::chrono_literals;

class ClusterView {
 public:
  explicit ClusterView(std::shared_ptr<Api> api, ClusterSourceOptions options = fast_options());

  /// Short waits, small pages, this node "n1".
  static ClusterSourceOptions fast_options();

  /// Applies batches until `done`, or until `limit` has passed: false.
  bool wait(const std::function<bool()>& done, std::chrono::milliseconds limit = 10s);
  bool wait_synced() {
    return wait([this] { return source->has_synced(); });
  }
  /// Exactly these: "Service/default/web", "Node//n1", ...
  bool wait_objects(const std::set<std::string>& names);
  /// For `time`, no batch removes anything.
  bool removes_nothing(std::chrono::milliseconds time);

  [[nodiscard]] std::set<std::string> names() const;
  [[nodiscard]] const DecodedObject* find(const std::string& name) const;
  [[nodiscard]] std::string errors() const;

  std::unique_ptr<ClusterSource> source;
  std::set<std::string> removed;  // ever
  std::size_t puts = 0;           // ever

 private:
  void apply();
  std::map<std::string, DecodedObject> objects_;
};

std::string name_of(const ObjectId& id);

}  // namespace topolb::kube
