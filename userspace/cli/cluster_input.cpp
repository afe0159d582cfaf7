// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster_input.h"

#include <poll.h>

#include <chrono>
#include <map>
#include <utility>
#include <variant>

#include "kube/api_client.h"
#include "kube/cluster_source.h"
#include "kube/kubeconfig.h"
#include "kube/manifest_directory.h"
#include "kube/object_files.h"

namespace topolb::cli {
namespace {

using std::chrono::steady_clock;

constexpr int kPollMilliseconds = 50;
/// The reflectors try again for ever; a person would rather be told.
constexpr auto kPatience = std::chrono::seconds(3);

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

/// Of the kinds that have not been listed yet; "" if all goes well.
std::string first_error(const kube::ClusterSource& source) {
  for (const auto& [kind, status] : source.status()) {
    if (!status.synced && !status.error.empty()) return status.error;
  }
  return {};
}

Result<Objects> read_all(kube::ClusterSource& source) {
  std::map<kube::ObjectId, kube::DecodedObject> known;
  std::vector<core::Problem> problems;
  auto last_success = steady_clock::now();
  while (true) {
    auto changes = source.drain();
    for (auto& object : changes.put) known.insert_or_assign(object.id, std::move(object));
    for (const auto& id : changes.removed) known.erase(id);
    problems = std::move(changes.problems);
    if (source.has_synced()) break;
    const auto error = first_error(source);
    if (error.empty()) last_success = steady_clock::now();
    if (steady_clock::now() - last_success > kPatience) return Error{{}, error};
    pollfd wait{.fd = source.fd(), .events = POLLIN, .revents = 0};
    ::poll(&wait, 1, kPollMilliseconds);
  }
  Objects result{{}, std::move(problems)};
  for (auto& [id, object] : known) result.objects.push_back(std::move(object));
  return result;
}

Result<Objects> read_api(const Options& options) {
  auto config = kube::load_kubeconfig(options.kubeconfig, options.context);
  if (!config) return config.error();
  auto api = std::make_shared<kube::ApiClient>(std::move(*config), kube::make_transport());
  auto source = kube::ClusterSource::start(
      std::move(api),
      {.node_name = {}, .service_proxy_name = options.service_proxy_name, .reflector = {}});
  if (!source) return source.error();
  return read_all(**source);
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
    input.state.put(std::move(*slice));
  } else if (auto* node = std::get_if<core::Node>(&decoded.object)) {
    input.state.put(std::move(*node));
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
