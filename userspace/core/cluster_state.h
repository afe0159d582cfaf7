// SPDX-License-Identifier: Apache-2.0
// The objects known so far and the plan of this node, re-planned by what changed only.
// Pure state: no I/O, clock, threads. Not thread-safe: one owner.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "core/frontend_claims.h"
#include "core/model.h"
#include "core/object_index.h"
#include "core/plan.h"
#include "core/topology_keys.h"

namespace topolb::core {

class Planner;

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
  ClusterState(const ClusterState&) = delete;  // its indexes point into it
  ClusterState& operator=(const ClusterState&) = delete;
  ClusterState(ClusterState&&) = default;
  ClusterState& operator=(ClusterState&&) = default;
  ~ClusterState() = default;

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
  /// How many entries plan() has.
  [[nodiscard]] std::size_t plan_size() const { return plan_size_; }
  /// The planner's problems as of the last replan(), sorted. Decoding problems are not here.
  [[nodiscard]] std::vector<Problem> problems() const;
  [[nodiscard]] const PlanOptions& options() const { return options_; }
  [[nodiscard]] const Service* find_service(const ObjectKey& key) const;
  [[nodiscard]] const Node* find_node(const std::string& name) const;
  /// Sorted by name. Valid until the next put() or remove_...().
  [[nodiscard]] std::vector<const Node*> nodes() const;
  [[nodiscard]] std::vector<const EndpointSlice*> slices_of(const ObjectKey& service) const;
  /// Valid during the life of this object; what it returns, until the next put() or remove_...().
  [[nodiscard]] NodeView node_view() const;
  /// Whether the scope and the label service-proxy-name let this agent serve it.
  [[nodiscard]] bool is_served(const Service& service) const;

 private:
  struct ServiceEntry;
  // Entries stay where they are while they live: the indexes point at them.
  using NamedEntry = std::pair<const ObjectKey, ServiceEntry>;
  /// A node's name and, in no order, the keyed Services with a backend there.
  using BackendNode = std::pair<const std::string, std::vector<NamedEntry*>>;

  /// All that is known under one Service's name; slices may be there before the Service is.
  struct ServiceEntry {
    std::optional<Service> service;
    TopologyKeys keys;                         // of the Service
    std::vector<const EndpointSlice*> slices;  // sorted by key
    std::vector<ServicePortPlan> plans;        // as of the last replan()
    std::vector<Problem> problems;             // as of the last replan()
    /// Where a keyed Service is in keyed_by_backend_node_; sorted.
    std::vector<BackendNode*> backend_nodes;
    bool dirty = false;
  };

  [[nodiscard]] bool is_keyed(const ServiceEntry& entry) const;
  [[nodiscard]] std::vector<const NamedEntry*> sorted_entries() const;
  NamedEntry& entry_of(const ObjectKeyView& key);
  void mark_dirty(NamedEntry& entry);
  void attach_slice(const EndpointSlice& slice);
  void detach_slice(const EndpointSlice& slice);
  void change_claims(const NamedEntry& entry, bool claim);
  void node_changed(const std::string& name, const Labels* before, const Labels* after);
  void plan_entry(NamedEntry& named, Planner& planner);
  void note_problems(const NamedEntry& entry);
  void leave_lost_frontends_out(NamedEntry& entry);
  void index_backend_nodes(NamedEntry& named);
  void forget_empty_entries();

  PlanOptions options_;
  std::unordered_map<ObjectKey, ServiceEntry, ObjectKeyHash, ObjectKeyEqual> services_;
  std::unordered_set<EndpointSlice, ObjectKeyHash, ObjectKeyEqual> slices_;
  std::unordered_map<std::string, Node> nodes_;
  FrontendClaims claims_;
  std::unordered_map<std::string, std::vector<NamedEntry*>> keyed_by_backend_node_;
  std::vector<NamedEntry*> dirty_;
  std::unordered_set<const NamedEntry*> troubled_;  // those with problems
  std::size_t plan_size_ = 0;
  std::set<ObjectKey> last_replanned_;
};

}  // namespace topolb::core
