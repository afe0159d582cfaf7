// SPDX-License-Identifier: Apache-2.0
#include "cli/object_name.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/text.h"

namespace topolb::cli {
namespace {

/// Of what there is, as much as one line bears.
constexpr std::size_t kListWidth = 60;

}  // namespace

bool ObjectName::means(const core::ServicePortKey& key, const std::string& port_name) const {
  if (key.service != service) return false;
  return port.empty() || port == port_name || port == fmt::format("{}", key.port);
}

Result<ObjectName> parse_object_name(std::string_view text) {
  const auto slash = text.find('/');
  const auto colon = text.find(':', slash == std::string_view::npos ? 0 : slash);
  ObjectName name;
  if (slash != std::string_view::npos) {
    name.service.namespace_name = text.substr(0, slash);
    name.service.name = text.substr(slash + 1, colon - slash - 1);
  }
  if (colon != std::string_view::npos) name.port = text.substr(colon + 1);
  const bool empty_port = colon != std::string_view::npos && name.port.empty();
  if (name.service.namespace_name.empty() || name.service.name.empty() || empty_port ||
      name.service.name.find('/') != std::string::npos) {
    return Error{{}, fmt::format("'{}' is not NAMESPACE/NAME[:PORT], such as default/web", text)};
  }
  return name;
}

std::string no_such_service(const ObjectName& name, const std::vector<core::ObjectKey>& services) {
  const auto& key = name.service;
  std::vector<std::string> names;
  std::vector<std::string> namespaces;
  for (const auto& other : services) {
    if (other.namespace_name == key.namespace_name) names.push_back(other.name);
    if (namespaces.empty() || namespaces.back() != other.namespace_name) {
      namespaces.push_back(other.namespace_name);
    }
  }
  const auto what = fmt::format("no Service {}/{}", key.namespace_name, key.name);
  if (!names.empty()) {
    return fmt::format("{}; namespace {} has {}", what, key.namespace_name,
                       shortened(names, kListWidth));
  }
  if (namespaces.empty()) return fmt::format("{}; there are no Services at all", what);
  return fmt::format("{}; there are Services in {}", what, shortened(namespaces, kListWidth));
}

std::string no_such_port(const ObjectName& name, std::vector<std::string> ports) {
  ports.erase(std::unique(ports.begin(), ports.end()), ports.end());  // one of each family
  return fmt::format("Service {}/{} has no port {}, but {}", name.service.namespace_name,
                     name.service.name, name.port, joined(ports));
}

}  // namespace topolb::cli
