// SPDX-License-Identifier: Apache-2.0
// A coordination.k8s.io/v1 Lease, and the requests that read and write it.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>

#include "core/model.h"
#include "kube/api.h"

namespace topolb::kube {

struct Lease {
  std::string holder;  // "": nobody's
  std::chrono::seconds duration{};
  std::string acquired;  // times as written in the API
  std::string renewed;
  unsigned transitions = 0;
  std::string resource_version;  // "": not of a server
  bool operator==(const Lease&) const = default;
};

/// None: there is none. A server may answer from its cache. Errors: as call_api().
Result<std::optional<Lease>> get_lease(Api& api, const core::ObjectKey& key,
                                       const std::stop_token& stop);
/// With its resource_version, changes the Lease that is there; without, makes it. Returns it as it
/// is then. Errors: kStatusConflict if it has changed since, or is there; else as call_api().
Result<Lease> write_lease(Api& api, const core::ObjectKey& key, const Lease& lease,
                          const std::stop_token& stop);

}  // namespace topolb::kube
