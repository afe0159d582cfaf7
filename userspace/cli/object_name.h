// SPDX-License-Identifier: Apache-2.0
// The argument NAMESPACE/NAME[:PORT].
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/plan.h"
#include "util/result.h"

namespace topolb::cli {

struct ObjectName {
  core::ObjectKey service;
  std::string port;  // a number or a name; "": every port

  /// Whether the Service port is meant.
  [[nodiscard]] bool means(const core::ServicePortKey& key, const std::string& port_name) const;
};

/// Error: `text` is not of that form.
Result<ObjectName> parse_object_name(std::string_view text);

/// "there is no Service default/web", and the names in that namespace, or the namespaces, that
/// there are. `services` is sorted.
std::string no_such_service(const ObjectName& name, const std::vector<core::ObjectKey>& services);
/// "Service default/web has no port x, but http (80/TCP), 53/UDP". `ports` is sorted.
std::string no_such_port(const ObjectName& name, std::vector<std::string> ports);

}  // namespace topolb::cli
