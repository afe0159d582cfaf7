// SPDX-License-Identifier: Apache-2.0
// `topolb topology get`, `set` and `unset`: a Service's topology keys through the API.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "cli/handlers.h"
#include "cli/json.h"
#include "cli/moves_view.h"
#include "cli/object_name.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/topology_change.h"
#include "cli/topology_keys_text.h"
#include "core/cluster_state.h"
#include "kube/api_call.h"
#include "kube/api_client.h"
#include "kube/kubeconfig.h"
#include "kube/list_objects.h"

namespace topolb::cli {
namespace {

using kube::KeysField;

/// Somebody else changes the Service at the same moment: read it again, this often.
constexpr unsigned kMaxTries = 10;

std::shared_ptr<kube::Api> connect(const Invocation& call, int& ret_exit_code) {
  auto config = kube::find_cluster(call.options.kubeconfig, call.options.context,
                                   kube::process_environment());
  if (!config) {
    ret_exit_code = call.fail(kExitUsage, config.error().message());
    return nullptr;
  }
  return std::make_shared<kube::ApiClient>(std::move(*config), kube::make_transport());
}

/// With what the API server said, or that it said nothing.
int fail_with(const Invocation& call, const Error& error, const core::ObjectKey& service) {
  switch (kube::api_status_of(error)) {
    case 0:
    case 401:
    case kube::kStatusForbidden:
      return call.fail(kExitUsage, error.message());
    case kube::kStatusNotFound:
      return call.fail(kExitFailed, fmt::format("the cluster has no Service {}/{}",
                                                service.namespace_name, service.name));
    default:
      return call.fail(kExitFailed, error.message());
  }
}

int fail_with(const Invocation& call, const Error& error, const TopologyChange& change) {
  const auto explanation = change.explain(error);
  return explanation.empty() ? fail_with(call, error, change.object.key)
                             : call.fail(kExitFailed, explanation);
}

/// The names of namespaces and Services are DNS labels.
bool may_be_name(const std::string& name) {
  return std::ranges::all_of(
      name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

std::optional<core::ObjectKey> service_argument(const Invocation& call, int& ret_exit_code) {
  const auto name = parse_object_name(call.options.object);
  const bool is_good = name && name->port.empty() && may_be_name(name->service.namespace_name) &&
                       may_be_name(name->service.name);
  if (is_good) return name->service;
  ret_exit_code = call.fail(
      kExitUsage,
      fmt::format("'{}' is not NAMESPACE/NAME, such as default/web", call.options.object));
  return std::nullopt;
}

void warn_if_unserved(const Invocation& call, const kube::ServiceObject& object) {
  if (object.service) return;
  call.warn(
      fmt::format("Service {}/{} is not served, whatever its keys: headless, ExternalName, "
                  "or without cluster IP",
                  object.key.namespace_name, object.key.name));
}

/// Keys that no Node has are legal, but are seldom what was meant.
void warn_of_unknown_labels(const Invocation& call, kube::Api& api,
                            const std::vector<std::string>& keys) {
  for (const auto& key : keys) {
    if (key == core::kAnyTopology) continue;
    const auto any = kube::any_object(api, kube::Kind::Node, {.label_selector = key});
    if (!any) return;  // perhaps no right to list Nodes, which setting keys does not need
    if (*any) continue;
    auto line = fmt::format("no Node has the label {}: no backend matches it", key);
    const auto likely = likely_key(key);
    if (!likely.empty()) line += fmt::format("; did you mean {}?", likely);
    call.warn(line);
  }
}

Result<MovesView> read_moves(kube::Api& api, const TopologyChange& change) {
  const auto& key = change.object.key;
  auto nodes = kube::list_objects(api, kube::Kind::Node, {});
  if (!nodes) return nodes.error();
  auto slices = kube::list_objects(
      api, kube::Kind::EndpointSlice,
      {.namespace_name = key.namespace_name,
       .label_selector = fmt::format("{}={}", core::kServiceNameLabel, key.name)});
  if (!slices) return slices.error();
  core::ClusterState state({});
  for (auto& object : nodes->objects) {
    if (auto* node = std::get_if<core::Node>(&object.object)) state.put(*node);
  }
  for (auto& object : slices->objects) {
    if (auto* slice = std::get_if<core::EndpointSlice>(&object.object)) {
      state.put(*slice);
    }
  }
  core::NodeTable table(state.nodes());
  MovesView view;
  for (std::uint32_t node = 0; node < table.size(); ++node) view.nodes.push_back(table.name(node));
  if (!change.object.service) return view;
  view.ports =
      core::moves_on_all_nodes(change.before(), change.after(), state.endpoints_of(key), table);
  return view;
}

void print_change(const Invocation& call, const TopologyChange& change,
                  const std::optional<MovesView>& moves) {
  const auto before = describe_keys(change.before());
  const auto after = describe_keys(change.after());
  const auto& key = change.object.key;
  if (call.json()) {
    JsonDocument document(call.out);
    document.member("namespace", key.namespace_name);
    document.member("name", key.name);
    document.member("changed", change.changes());
    document.member("dry_run", call.options.dry_run);
    document.member("before", to_json(before));
    document.member("after", to_json(after));
    if (moves) {
      document.member("nodes", std::uint64_t{moves->nodes.size()});
      document.list("ports", moves->ports,
                    [&](const core::PortMoves& port) { return to_json(port, *moves); });
    } else {
      document.member("nodes", Json());
      document.member("ports", Json());
    }
    return;
  }
  Table facts({{""}, {""}});
  facts.row({std::string("Service"), fmt::format("{}/{}", key.namespace_name, key.name)});
  facts.row({std::string("Before"), keys_line(before)});
  facts.row({std::string(call.options.dry_run ? "After" : "Now"), keys_line(after)});
  facts.print(call.out);
  if (moves) {
    print_moves(call.out, *moves);
    call.out << "\nNothing was changed: --dry-run.\n";
  } else if (!change.changes()) {
    call.out << "\nNothing was changed: it was so already.\n";
  } else if (!after.keys.empty() && after.keys.back() != core::kAnyTopology) {
    call.out
        << "\nClients that no backend is near enough to are refused; with '*' as the last key\n"
           "they would use any.\n";
  }
}

/// Without a right to change it, the preview is still worth something.
int preview(const Invocation& call, kube::Api& api, const TopologyChange& change) {
  const auto judged = change.changes() ? kube::patch_topology_keys(api, change.object, change.keys)
                                       : Result<kube::ServiceObject>(change.object);
  if (!judged) {
    const int status = kube::api_status_of(judged.error());
    if (status != kube::kStatusForbidden) {
      return fail_with(call, judged.error(), change);
    }
    call.warn(judged.error().message());
  }
  const auto moves = read_moves(api, change);
  if (!moves) return call.fail(kExitUsage, moves.error().message());
  print_change(call, change, *moves);
  return kExitOk;
}

/// Reads the Service, and changes it if need be, until nobody comes in between.
int apply(const Invocation& call, const core::ObjectKey& key, const kube::KeysChange& keys) {
  int exit_code = kExitOk;
  const auto api = connect(call, exit_code);
  if (!api) return exit_code;
  for (unsigned tries = 1;; ++tries) {
    auto object = kube::get_service(*api, key);
    if (!object) return fail_with(call, object.error(), key);
    const TopologyChange change{std::move(*object), keys};
    if (const auto wrong = change.judge(); !wrong.empty()) return call.fail(kExitFailed, wrong);
    if (tries == 1) {
      warn_if_unserved(call, change.object);
      warn_of_unknown_labels(call, *api, keys.keys);
    }
    if (keys.dry_run) return preview(call, *api, change);
    if (change.changes()) {
      const auto patched = kube::patch_topology_keys(*api, change.object, keys);
      const bool conflict =
          !patched && kube::api_status_of(patched.error()) == kube::kStatusConflict;
      if (conflict && tries < kMaxTries) continue;
      if (!patched) return fail_with(call, patched.error(), change);
      if (!change.is_in(*patched)) return call.fail(kExitFailed, change.not_taken());
    }
    print_change(call, change, std::nullopt);
    return kExitOk;
  }
}

}  // namespace

int run_topology_get(const Invocation& call) {
  int exit_code = kExitOk;
  const auto key = service_argument(call, exit_code);
  if (!key) return exit_code;
  const auto api = connect(call, exit_code);
  if (!api) return exit_code;
  const auto object = kube::get_service(*api, *key);
  if (!object) return fail_with(call, object.error(), *key);
  warn_if_unserved(call, *object);
  if (call.json()) {
    print_keys_json(call.out, *object);
  } else {
    print_keys(call.out, *object);
  }
  return kExitOk;
}

int run_topology_set(const Invocation& call) {
  int exit_code = kExitOk;
  const auto key = service_argument(call, exit_code);
  if (!key) return exit_code;
  auto keys = parse_key_arguments(call.options.keys, visible_files());
  if (!keys) return call.fail(kExitUsage, keys.error().message());
  return apply(call, *key,
               {.field = call.options.spec ? KeysField::Spec : KeysField::Annotation,
                .keys = std::move(*keys),
                .dry_run = call.options.dry_run});
}

int run_topology_unset(const Invocation& call) {
  int exit_code = kExitOk;
  const auto key = service_argument(call, exit_code);
  if (!key) return exit_code;
  return apply(call, *key,
               {.field = call.options.spec ? KeysField::Spec : KeysField::Annotation,
                .keys = {},
                .dry_run = call.options.dry_run});
}

}  // namespace topolb::cli
