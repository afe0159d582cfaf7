// SPDX-License-Identifier: Apache-2.0
#include "cli/completion_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <variant>

#include "core/topology_keys.h"
#include "dataplane/kernel_maps.h"
#include "dataplane/kernel_state.h"
#include "kube/api_client.h"
#include "kube/kubeconfig.h"
#include "kube/list_objects.h"
#include "kube/manifest_directory.h"

namespace topolb::cli {
namespace {

using Names = std::vector<std::string>;

/// Nobody waits longer for a TAB.
constexpr kube::Deadlines kShort{.connect = std::chrono::milliseconds(1000),
                                 .response = std::chrono::milliseconds(2000),
                                 .idle = std::chrono::milliseconds(1000)};
/// Nodes whose labels are looked at.
constexpr std::size_t kSomeNodes = 50;

std::string text_of(const core::ObjectKey& key) {
  return fmt::format("{}/{}", key.namespace_name, key.name);
}

/// Objects of a kind, from where the options say; without --manifests, from the cluster.
std::vector<kube::DecodedObject> objects_of(const Options& options, kube::Kind kind,
                                            const kube::ListScope& scope) {
  if (!options.manifests.empty()) {
    auto directory = kube::ManifestDirectory::open(options.manifests);
    return directory ? directory->scan().put : std::vector<kube::DecodedObject>{};
  }
  auto config =
      kube::find_cluster(options.kubeconfig, options.context, kube::process_environment());
  if (!config) return {};
  kube::ApiClient api(std::move(*config), kube::make_transport());
  auto list = kube::list_objects(api, kind, scope);
  return list ? std::move(list->objects) : std::vector<kube::DecodedObject>{};
}

Names kernel_services(const Options& options) {
  const auto maps =
      dataplane::KernelMaps::open_pinned(options.pin_path, dataplane::Access::ReadOnly);
  if (!maps) return {};
  std::set<std::string> names;
  for (const auto& service : dataplane::read_kernel_state(*maps).services) {
    names.insert(text_of(service.key.service));
  }
  return {names.begin(), names.end()};
}

std::vector<const core::Node*> nodes_of(const std::vector<kube::DecodedObject>& objects) {
  std::vector<const core::Node*> nodes;
  for (const auto& object : objects) {
    if (const auto* node = std::get_if<core::Node>(&object.object)) nodes.push_back(node);
  }
  return nodes;
}

}  // namespace

Names service_names(const Command& command, const Options& options, const std::string& prefix) {
  if ((command.options & (kTakesManifests | kTakesKubeconfig)) == 0) {
    return kernel_services(options);
  }
  const auto slash = prefix.find('/');
  const auto name_space = slash == std::string::npos ? "" : prefix.substr(0, slash);
  const auto objects =
      objects_of(options, kube::Kind::Service, {.namespace_name = name_space, .deadlines = kShort});
  Names names;
  for (const auto& object : objects) {
    if (object.id.kind == kube::Kind::Service) names.push_back(text_of(object.id.key));
  }
  return names;
}

Names node_names(const Options& options) {
  Names names;
  const auto objects = objects_of(options, kube::Kind::Node, {.deadlines = kShort});
  for (const auto* node : nodes_of(objects)) names.push_back(node->name);
  return names;
}

Names label_keys(const Options& options) {
  std::set<std::string> keys{std::string(core::kHostnameLabel), std::string(core::kZoneLabel),
                             "topology.kubernetes.io/region", std::string(core::kAnyTopology)};
  const auto objects =
      objects_of(options, kube::Kind::Node, {.at_most = kSomeNodes, .deadlines = kShort});
  for (const auto* node : nodes_of(objects)) {
    for (const auto& [key, value] : node->labels) keys.insert(key);
  }
  return {keys.begin(), keys.end()};
}

Names kube_contexts(const Options& options) {
  const auto files = kube::read_kubeconfig(options.kubeconfig, kube::process_environment());
  if (!files) return {};
  auto names = kube::context_names(*files);
  return names ? std::move(*names) : Names{};
}

}  // namespace topolb::cli
