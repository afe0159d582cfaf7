// SPDX-License-Identifier: Apache-2.0
// The objects known so far and the plan of this node, re-planned by what changed only.
// Pure state: no I/O, clock, threads. Not thread-safe: one owner.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "core/frontend_claims.h"
#include "core/known_nodes.h"
#include "core/model.h"
#include "core/object_index.h"
#include "core/placement_facts.h"
#include "core/plan.h"
#include "core/pools.h"
#include "core/service_endpoints.h"

namespace topolb::core {

class Planner;

enum class Scope : std::uint8_t { All, OptedIn };

struct PlanOptions {
  std::string node_name;
  Scope scope = Scope::All;
  std::string service_proxy_name;
};

/// Shared by the state and the operations made from it; never changes.
using SharedPlan = std::shared_ptr<const ServicePortPlan>;

/// The operations that turn one plan into the next, in the order to execute them:
/// first what adds or replaces, then what deletes. Each is idempotent.
struct PublishService {  // backends, sets, then the one switch; creates the service if new
  SharedPlan plan;
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
std::vector<Operation> diff(const std::vector<SharedPlan>& before,
                            const std::vector<SharedPlan>& after);
std::vector<Operation> diff(const std::vector<ServicePortPlan>& before,
                            const std::vector<ServicePortPlan>& after);

std::vector<SharedPlan> share(const std::vector<ServicePortPlan>& plans);

class ClusterState {
 public:
  explicit ClusterState(PlanOptions options);
  ClusterState(const ClusterState&) = delete;  // its indexes point into it
  ClusterState& operator=(const ClusterState&) = delete;
  ClusterState(ClusterState&&) = default;
  ClusterState& operator=(ClusterState&&) = delete;
  ~ClusterState() = default;

  void put(Service service);
  void put(const EndpointSlice& slice);
  void put(const Node& node);
  void remove_service(const ObjectKey& key);
  void remove_slice(const ObjectKey& key);
  void remove_node(const std::string& name);

  /// Re-plans the Services that the changes since the last call can reach, and returns the
  /// operations from the plan before to the plan now. Reach: a Service or slice event, that
  /// Service; a label change of this node, all Services with keys or zone hints; of another
  /// node, the keyed Services with a backend there.
  std::vector<Operation> replan();

  /// Names of the Services that the last replan() looked at, sorted, each once.
  [[nodiscard]] const std::vector<ObjectKey>& last_replanned() const { return last_replanned_; }

  /// The plan of every Service as of the last replan(), sorted by key.
  [[nodiscard]] std::vector<ServicePortPlan> plan() const;
  [[nodiscard]] std::vector<SharedPlan> shared_plan() const;
  /// How many entries plan() has.
  [[nodiscard]] std::size_t plan_size() const { return plan_size_; }
  /// The planner's problems as of the last replan(), sorted. Decoding problems are not here.
  [[nodiscard]] std::vector<Problem> problems() const;
  [[nodiscard]] const PlanOptions& options() const { return options_; }
  [[nodiscard]] const Service* find_service(const ObjectKey& key) const;
  [[nodiscard]] bool has_node(const std::string& name) const { return nodes_.contains(name); }
  /// Sorted by name.
  [[nodiscard]] std::vector<Node> nodes() const { return nodes_.all(); }
  /// Of all slices of that name; there may be no Service of it.
  [[nodiscard]] const ServiceEndpoints& endpoints_of(const ObjectKey& service) const;
  /// Valid during the life of this object; what it returns, until the next put() or remove_...().
  [[nodiscard]] NodeView node_view() const;
  /// Whether the scope and the label service-proxy-name let this agent serve it.
  [[nodiscard]] bool is_served(const Service& service) const;

 private:
  struct ServiceEntry;
  // Entries stay where they are while they live: the indexes point at them.
  using NamedEntry = std::pair<const ObjectKey, ServiceEntry>;

  /// All that is known under one Service's name; slices may be there before the Service is.
  struct ServiceEntry {
    explicit ServiceEntry(Pools& pools) : endpoints(pools) {}

    std::optional<Service> service;
    PoolId keys = 0;  // of the Service, in Pools::topology_keys
    bool dirty = false;
    ServiceEndpoints endpoints;
    std::vector<SharedPlan> plans;  // as of the last replan()
    std::vector<Problem> problems;  // as of the last replan()
  };

  /// A slice in the entry of its Service; hashed and compared by the slice's key.
  struct SliceRef {
    NamedEntry* entry = nullptr;
    ServiceEndpoints::SliceNumber number = 0;
    [[nodiscard]] ObjectKeyView key() const {
      return {entry->first.namespace_name, entry->second.endpoints.name_of(number)};
    }
  };
  struct SliceHash {
    using is_transparent = void;
    std::size_t operator()(const ObjectKeyView& key) const { return ObjectKeyHash{}(key); }
    std::size_t operator()(const SliceRef& slice) const { return ObjectKeyHash{}(slice.key()); }
  };
  struct SliceEqual {
    using is_transparent = void;
    bool operator()(const SliceRef& a, const SliceRef& b) const { return a.key() == b.key(); }
    bool operator()(const ObjectKeyView& a, const SliceRef& b) const { return a == b.key(); }
    bool operator()(const SliceRef& a, const ObjectKeyView& b) const { return a.key() == b; }
  };
  using Slices = std::unordered_set<SliceRef, SliceHash, SliceEqual>;

  [[nodiscard]] const TopologyKeys& keys_of(const ServiceEntry& entry) const;
  [[nodiscard]] bool is_keyed(const ServiceEntry& entry) const;
  [[nodiscard]] std::vector<const NamedEntry*> sorted_entries() const;
  NamedEntry& entry_of(const ObjectKeyView& key);
  void mark_dirty(NamedEntry& entry);
  void take_service(ServiceEntry& entry, std::optional<Service> service);
  void remove(Slices::iterator slice);
  void change_claims(const NamedEntry& entry, bool claim);
  void node_changed(const std::string& name, std::vector<std::string> labels);
  void own_node_changed(const std::vector<std::string>& labels);
  void mark_those_on_changed_nodes();
  void forget_reused_placements();
  void plan_entry(NamedEntry& named, Planner& planner);
  void note_problems(const NamedEntry& entry);
  void leave_lost_frontends_out(const NamedEntry& entry, ServicePlan& plan);
  void forget_empty_entries();

  PlanOptions options_;
  std::unique_ptr<Pools> pools_;  // before what is in them
  std::unordered_map<ObjectKey, ServiceEntry, ObjectKeyHash, ObjectKeyEqual> services_;
  Slices slices_;
  ServiceEndpoints no_endpoints_;
  KnownNodes nodes_;
  /// Of other Nodes that changed since the last replan(): labels that did.
  std::unordered_map<std::string, std::vector<std::string>> changed_nodes_;
  PlacementFacts facts_;
  std::uint64_t known_reuses_ = 0;  // of ids of placements: facts_ is of these
  FrontendClaims claims_;
  std::vector<NamedEntry*> dirty_;
  std::unordered_set<const NamedEntry*> troubled_;  // those with problems
  std::size_t plan_size_ = 0;
  std::vector<ObjectKey> last_replanned_;
};

}  // namespace topolb::core
