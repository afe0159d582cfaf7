// SPDX-License-Identifier: Apache-2.0
// diff(): the operations from one plan to the next.
#include <algorithm>
#include <cstddef>
#include <tuple>
#include <unordered_set>

#include "core/cluster_state.h"
#include "core/frontend_address.h"

namespace topolb::core {
namespace {

// Everything a published service consists of in the kernel, beside its frontends.
bool same_publication(const ServicePortPlan& a, const ServicePortPlan& b) {
  const auto parts = [](const ServicePortPlan& plan) {
    return std::tie(plan.port_name, plan.affinity_timeout_s, plan.internal, plan.external,
                    plan.node_external, plan.local_backends, plan.nodeless_backends,
                    plan.idle_backends, plan.source_ranges);
  };
  return parts(a) == parts(b);
}

bool contains(const std::vector<Frontend>& sorted, const Frontend& frontend) {
  return std::binary_search(sorted.begin(), sorted.end(), frontend);
}

class Differ {
 public:
  void put(const ServicePortPlan* before, const SharedPlan& planned) {
    const ServicePortPlan& after = *planned;
    if (before == nullptr || !same_publication(*before, after)) {
      operations_.emplace_back(PublishService{planned});
    }
    for (const Frontend& frontend : after.frontends) {
      if (before != nullptr && contains(before->frontends, frontend)) continue;
      operations_.emplace_back(AddFrontend{after.key, frontend});
    }
    if (before == nullptr) return;
    for (const Frontend& frontend : before->frontends) {
      if (!contains(after.frontends, frontend)) removals_.emplace_back(&before->key, &frontend);
    }
  }

  void remove(const ServicePortPlan& before) {
    for (const Frontend& frontend : before.frontends) {
      removals_.emplace_back(&before.key, &frontend);
    }
    removals_.emplace_back(&before.key, nullptr);
  }

  std::vector<Operation> finish() && {
    if (removals_.empty()) return std::move(operations_);
    std::unordered_set<FrontendAddress> added;
    for (const Operation& operation : operations_) {
      if (const auto* one = std::get_if<AddFrontend>(&operation)) {
        added.insert(address_of(one->service, one->frontend));
      }
    }
    for (const auto& [key, frontend] : removals_) {
      if (frontend == nullptr) {
        operations_.emplace_back(RemoveService{*key});
      } else if (!added.contains(address_of(*key, *frontend))) {
        // An added one has overwritten the entry: it belongs to somebody else now.
        operations_.emplace_back(RemoveFrontend{*key, *frontend});
      }
    }
    return std::move(operations_);
  }

 private:
  static FrontendAddress address_of(const ServicePortKey& key, const Frontend& frontend) {
    return {{frontend.address, frontend.port}, key.protocol};
  }

  std::vector<Operation> operations_;
  /// In order; a frontend, or null for the service itself after its frontends.
  std::vector<std::pair<const ServicePortKey*, const Frontend*>> removals_;
};

bool in_datapath(const ServicePortPlan& plan) { return plan.key.protocol != Protocol::SCTP; }

}  // namespace

std::vector<Operation> diff(const std::vector<SharedPlan>& before,
                            const std::vector<SharedPlan>& after) {
  Differ differ;
  auto old = before.begin();
  auto now = after.begin();
  while (old != before.end() || now != after.end()) {
    const bool gone = now == after.end() || (old != before.end() && (*old)->key < (*now)->key);
    const bool is_new = old == before.end() || (now != after.end() && (*now)->key < (*old)->key);
    if (gone) {
      if (in_datapath(**old)) differ.remove(**old);
    } else if (in_datapath(**now)) {
      differ.put(is_new ? nullptr : old->get(), *now);
    }
    if (!is_new) ++old;
    if (!gone) ++now;
  }
  return std::move(differ).finish();
}

std::vector<Operation> diff(const std::vector<ServicePortPlan>& before,
                            const std::vector<ServicePortPlan>& after) {
  return diff(share(before), share(after));
}

std::vector<SharedPlan> share(const std::vector<ServicePortPlan>& plans) {
  std::vector<SharedPlan> shared;
  shared.reserve(plans.size());
  for (const ServicePortPlan& plan : plans) {
    shared.push_back(std::make_shared<const ServicePortPlan>(plan));
  }
  return shared;
}

}  // namespace topolb::core
