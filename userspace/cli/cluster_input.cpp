// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster_input.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>
#include <utility>
#include <variant>

#include "kube/api_call.h"
#include "kube/api_client.h"
#include "kube/kubeconfig.h"
#include "kube/list_objects.h"
#include "kube/manifest_directory.h"
#include "kube/object_files.h"
#include "kube/resource.h"

namespace topolb::cli {
namespace {

using std::chrono::steady_clock;

/// A person would rather be told than wait longer.
constexpr auto kPatience = std::chrono::seconds(3);
constexpr auto kPause = std::chrono::milliseconds(200);

/// Everything there is.
struct Objects {
  std::vector<kube::DecodedObject> objects;
  std::vector<core::Problem> problems;  // of what is no object
};

Result<Objects> read_manifests(const std::string& path) {
  auto directory = kube::ManifestDirectory::open(path);
  if (!directory) return directory.error();
  auto changes = directory->scan();
  return Objects{std::move(changes.put), std::move(changes.problems)};
}

/// A server that starts or is busy is asked again; one that says no is believed.
Result<kube::ObjectList> list_patiently(kube::Api& api, kube::Kind kind,
                                        const kube::ListScope& scope) {
  const auto deadline = steady_clock::now() + kPatience;
  while (true) {
    auto list = kube::list_objects(api, kind, scope);
    if (list) return list;
    const int status = kube::api_status_of(list.error());
    const bool says_no = status >= 400 && status < 500 && status != kube::kStatusTooManyRequests;
    if (says_no || steady_clock::now() > deadline) return list.error();
    std::this_thread::sleep_for(kPause);
  }
}

Result<Objects> read_api(const Options& options) {
  auto config = kube::load_kubeconfig(options.kubeconfig, options.context);
  if (!config) return config.error();
  kube::ApiClient api(std::move(*config), kube::make_transport());
  Objects all;
  for (const auto kind : {kube::Kind::Service, kube::Kind::EndpointSlice, kube::Kind::Node}) {
    auto list = list_patiently(
        api, kind, {.label_selector = kube::label_selector_of(kind, options.service_proxy_name)});
    if (!list) return list.error();
    for (auto& object : list->objects) all.objects.push_back(std::move(object));
    all.problems.insert(all.problems.end(), list->problems.begin(), list->problems.end());
  }
  return all;
}

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
    input.state.put(*slice);
  } else if (auto* node = std::get_if<core::Node>(&decoded.object)) {
    input.state.put(*node);
  }
}

}  // namespace

std::optional<ClusterInput> read_cluster(const Invocation& call, int& exit_code) {
  const Options& options = call.options;
  auto objects = options.kubeconfig.empty() ? read_manifests(options.manifests) : read_api(options);
  if (!objects) {
    exit_code = call.fail(kExitUsage, objects.error().message());
    return std::nullopt;
  }
  if (objects->objects.empty() && objects->problems.empty()) {
    call.warn(fmt::format("there are no objects in {}",
                          options.kubeconfig.empty() ? options.manifests : "the cluster"));
  }
  ClusterInput input{
      .state = core::ClusterState(
          {.node_name = options.node,
           .scope = options.scope == "opted-in" ? core::Scope::OptedIn : core::Scope::All,
           .service_proxy_name = options.service_proxy_name}),
      .problems = {},
      .unserved = {}};
  std::set<core::Problem> problems(objects->problems.begin(), objects->problems.end());
  kube::ObjectFiles files;
  for (auto& decoded : objects->objects) {
    files.put(decoded);
    put(std::move(decoded), input, problems);
  }
  input.state.replan();
  auto planning = input.state.problems();
  files.add_to(planning);
  problems.insert(planning.begin(), planning.end());
  input.problems.assign(problems.begin(), problems.end());
  return input;
}

}  // namespace topolb::cli
