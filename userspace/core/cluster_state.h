// SPDX-License-Identifier: Apache-2.0
// The objects known so far and the plan of this node, re-planned by what changed only.
// Pure state: no I/O, clock, threads. Not thread-safe: one owner.
#pragma once

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "core/model.h"
#include "core/plan.h"

namespace topolb::core {

enum class Scope : std::uint8_t { All, OptedIn };

struct PlanOptions {
  std::string node_name;
  Scope scope = Scope::All;
  std::string service_proxy_name;
};

/// The operations that turn one plan into the next, in the order to execute them:
/// first what adds or replaces, then what deletes. Each is idempotent.
struct PublishService {  // backends, sets, then the one switch; creates the service if new
  ServicePortPlan plan;
};
struct AddFrontend {
  ServicePortKey service;
  Frontend frontend;
};
struct RemoveFrontend {
  ServicePortKey service;
  Frontend frontend;
};
struct RemoveService {
  ServicePortKey service;
};
using Operation = std::variant<PublishService, AddFrontend, RemoveFrontend, RemoveService>;

/// From `before` to `after`, both sorted by key (a whole plan, or the part of it that belongs to
/// the Services that changed). A Service port that is equal on both sides costs no operation;
/// SCTP ports cost none (not in the datapath). A frontend that moves from one service to another
/// is one AddFrontend (which overwrites), with no RemoveFrontend after it.
std::vector<Operation> diff(const std::vector<ServicePortPlan>& before,
                            const std::vector<ServicePortPlan>& after);

class ClusterState {
 public:
  explicit ClusterState(PlanOptions options);

  void put(Service service);
  void put(EndpointSlice slice);
  void put(Node node);
  void remove_service(const ObjectKey& key);
  void remove_slice(const ObjectKey& key);
  void remove_node(const std::string& name);

  /// Re-plans the Services that the changes since the last call can reach, and returns the
  /// operations from the plan before to the plan now. Reach: a Service or slice event, that
  /// Service; a label change of this node, all Services with keys or zone hints; of another
  /// node, the keyed Services with a backend there.
  std::vector<Operation> replan();

  /// Names of the Services that the last replan() looked at (for tests and metrics).
  [[nodiscard]] const std::set<ObjectKey>& last_replanned() const { return last_replanned_; }

  /// The plan of every Service as of the last replan(), sorted by key.
  [[nodiscard]] std::vector<ServicePortPlan> plan() const;
  /// The planner's problems as of the last replan(), sorted. Decoding problems are not here.
  [[nodiscard]] std::vector<Problem> problems() const;
  [[nodiscard]] const PlanOptions& options() const { return options_; }
  [[nodiscard]] const Service* find_service(const ObjectKey& key) const;
  [[nodiscard]] const Node* find_node(const std::string& name) const;
  [[nodiscard]] std::vector<const EndpointSlice*> slices_of(const ObjectKey& service) const;
  [[nodiscard]] NodeView node_view() const;

 private:
  PlanOptions options_;
  std::set<ObjectKey> last_replanned_;
};

}  // namespace topolb::core
