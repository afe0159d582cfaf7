// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster_input.h"

#include <utility>
#include <variant>

#include "kube/manifest_directory.h"

namespace topolb::cli {
namespace {

/// Into the state; unserved Services are remembered by name.
void put(kube::DecodedObject decoded, ClusterInput& input, std::set<core::Problem>& problems) {
  problems.insert(decoded.problems.begin(), decoded.problems.end());
  if (std::holds_alternative<std::monostate>(decoded.object)) {
    if (decoded.id.kind == kube::Kind::Service) input.unserved.insert(decoded.id.key);
    return;
  }
  if (auto* service = std::get_if<core::Service>(&decoded.object)) {
    input.state.put(std::move(*service));
  } else if (auto* slice = std::get_if<core::EndpointSlice>(&decoded.object)) {
    input.state.put(std::move(*slice));
  } else if (auto* node = std::get_if<core::Node>(&decoded.object)) {
    input.state.put(std::move(*node));
  }
}

}  // namespace

std::optional<ClusterInput> read_cluster(const Invocation& call, int& exit_code) {
  const Options& options = call.options;
  auto directory = kube::ManifestDirectory::open(options.manifests);
  if (!directory) {
    exit_code = call.fail(kExitUsage, directory.error().message());
    return std::nullopt;
  }
  ClusterInput input{
      .state = core::ClusterState(
          {.node_name = options.node,
           .scope = options.scope == "opted-in" ? core::Scope::OptedIn : core::Scope::All,
           .service_proxy_name = options.service_proxy_name}),
      .problems = {},
      .unserved = {}};
  auto changes = directory->scan();
  std::set<core::Problem> problems(changes.problems.begin(), changes.problems.end());
  for (auto& decoded : changes.put) put(std::move(decoded), input, problems);
  input.state.replan();
  for (auto& problem : input.state.problems()) problems.insert(std::move(problem));
  input.problems.assign(problems.begin(), problems.end());
  return input;
}

}  // namespace topolb::cli
