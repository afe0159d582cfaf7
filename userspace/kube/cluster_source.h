// SPDX-License-Identifier: Apache-2.0
// A live cluster as a source of changes: Services, EndpointSlices and Nodes followed on threads
// of their own; the agent's loop polls fd() and takes what came with drain().
//
// The address of the API server must not be a ClusterIP that topolb itself serves: at boot nothing
// would serve it yet. In-cluster credentials name such an address (KUBERNETES_SERVICE_HOST), so an
// agent that replaces kube-proxy is given --api-server or a kubeconfig.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "kube/api.h"
#include "kube/change_queue.h"
#include "kube/reflector.h"
#include "util/unique_fd.h"

namespace topolb::kube {

struct ClusterSourceOptions {
  std::string node_name;           // empty: no Node is more own than the others, all are followed
  std::string service_proxy_name;  // empty: Services with that label are not even sent
  ReflectorOptions reflector;      // timing and page size; kind and selectors are set here
};

struct ListStatus {
  ListId list;
  ReflectorStatus status;
};

class ClusterSource {
 public:
  /// Begins to follow. Error: no eventfd.
  static Result<std::unique_ptr<ClusterSource>> start(std::shared_ptr<Api> api,
                                                      const ClusterSourceOptions& options);
  ClusterSource(const ClusterSource&) = delete;
  ClusterSource& operator=(const ClusterSource&) = delete;
  /// Ends every request at once.
  ~ClusterSource();

  /// Readable soon after drain() has something, and now and then when it has nothing.
  [[nodiscard]] int fd() const { return event_.get(); }
  /// The changes since the last call.
  ClusterChanges drain();

  /// What drain() has returned up to now is complete: a whole list of every kind, and of as many
  /// Nodes as are asked for. Stays true whatever happens later, but for watch_all_nodes().
  [[nodiscard]] bool has_synced() const;

  /// Follow the metadata of every other Node, or of none (then they are removed). At start: of
  /// none. This node's own is always followed, and whole.
  void watch_all_nodes(bool all);

  /// Services, EndpointSlices, the own Node; the metadata of the other Nodes while it is followed.
  [[nodiscard]] std::vector<ListStatus> status() const;

 private:
  ClusterSource(std::shared_ptr<Api> api, const ClusterSourceOptions& options, UniqueFd event);
  void follow(ReflectorOptions options);
  void enqueue(std::vector<Change> changes);
  [[nodiscard]] std::optional<std::string> other_nodes(bool wanted) const;

  struct Follower {
    ListId list;
    std::unique_ptr<Reflector> reflector;
  };

  std::shared_ptr<Api> api_;
  std::string node_name_;
  UniqueFd event_;
  mutable std::mutex mutex_;  // queue_, is_readable_, other_nodes_
  ChangeQueue queue_;
  bool is_readable_ = false;                // event_ is written, or about to be, and not read
  std::optional<std::string> other_nodes_;  // their selector; none: they are not followed
  std::vector<Follower> followers_;         // the last: of the other Nodes
  std::vector<std::jthread> threads_;       // last: joined before what they use is gone
};

}  // namespace topolb::kube
