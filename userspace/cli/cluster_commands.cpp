// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "cli/all_nodes_view.h"
#include "cli/cluster_input.h"
#include "cli/explain_view.h"
#include "cli/handlers.h"
#include "cli/kernel_view.h"
#include "cli/object_name.h"
#include "cli/plan_view.h"
#include "cli/text.h"

namespace topolb::cli {
namespace {

void warn_of_unknown_node(const Invocation& call, const core::ClusterState& state) {
  const std::string& node = call.options.node;
  if (state.has_node(node)) return;
  call.warn(
      fmt::format("there is no Node {}: it has no labels, so only '*' and policies match", node));
}

/// Why `plan` has nothing of this Service.
std::string not_served(const ObjectName& name, const ClusterInput& cluster) {
  const auto text = fmt::format("{}/{}", name.service.namespace_name, name.service.name);
  if (cluster.unserved.contains(name.service)) {
    return fmt::format("Service {} is not served: headless, ExternalName, or without cluster IP",
                       text);
  }
  if (cluster.state.find_service(name.service) != nullptr) {
    return fmt::format("Service {} is not served with this --scope and --service-proxy-name", text);
  }
  std::vector<core::ObjectKey> services;
  for (const auto& port : cluster.state.plan()) {
    if (services.empty() || services.back() != port.key.service) {
      services.push_back(port.key.service);
    }
  }
  return no_such_service(name, services);
}

bool is_planned(const core::ObjectKey& service, const core::ClusterState& state) {
  const auto plan = state.plan();
  return std::any_of(plan.begin(), plan.end(),
                     [&](const auto& port) { return port.key.service == service; });
}

/// Without --node: the node of the agent whose pins are here.
int explain_on_own_node(const Invocation& call) {
  const auto maps =
      dataplane::KernelMaps::open_pinned(call.options.pin_path, dataplane::Access::ReadOnly);
  Options options = call.options;
  if (maps) options.node = node_name_of(maps->settings[0]);
  if (options.node.empty()) {
    return call.fail(kExitUsage, "'explain' needs --node NAME: no agent's node can be read here");
  }
  return run_explain({options, call.out, call.err, call.program});
}

}  // namespace

int run_plan(const Invocation& call) {
  int exit_code = kExitOk;
  const auto cluster = read_cluster(call, exit_code);
  if (!cluster) return exit_code;
  if (call.options.all_nodes) {
    const auto view = all_nodes_view(cluster->state, cluster->problems);
    if (call.json()) {
      print_all_nodes_json(call.out, view);
    } else {
      print_all_nodes_tables(call.out, view);
    }
    return kExitOk;
  }
  warn_of_unknown_node(call, cluster->state);
  const PlanView plan{call.options.node, cluster->state.plan(), cluster->problems};
  if (call.json()) {
    print_plan_json(call.out, plan);
  } else {
    print_plan_table(call.out, plan);
  }
  return kExitOk;
}

int run_check(const Invocation& call) {
  int exit_code = kExitOk;
  const auto cluster = read_cluster(call, exit_code);
  if (!cluster) return exit_code;
  const auto& problems = cluster->problems;
  if (call.json()) {
    JsonDocument(call.out).list("problems", problems,
                                [](const core::Problem& problem) { return to_json(problem); });
  } else if (problems.empty()) {
    call.out << "No problems.\n";
  } else {
    print_problems_table(call.out, problems);
    call.out << '\n' << counted(problems.size(), "problem") << ".\n";
  }
  return problems.empty() ? kExitOk : kExitFailed;
}

int run_explain(const Invocation& call) {
  const auto name = parse_object_name(call.options.object);
  if (!name) return call.fail(kExitUsage, name.error().message());
  int exit_code = kExitOk;
  if (call.options.node.empty()) return explain_on_own_node(call);
  const auto cluster = read_cluster(call, exit_code);
  if (!cluster) return exit_code;
  const auto& state = cluster->state;
  if (!is_planned(name->service, state)) {
    return call.fail(kExitFailed, not_served(*name, *cluster));
  }
  warn_of_unknown_node(call, state);
  ExplainView view{call.options.node, name->service,
                   core::explain_service(*state.find_service(name->service),
                                         state.endpoints_of(name->service), state.node_view())};
  std::vector<std::string> ports;
  for (const auto& port : view.explanation.ports) {
    const auto text = port_text(port.key.port, port.key.protocol);
    ports.push_back(port.port_name.empty() ? text : fmt::format("{} ({})", port.port_name, text));
  }
  std::erase_if(view.explanation.ports, [&](const core::PortExplanation& port) {
    return !name->means(port.key, port.port_name);
  });
  if (view.explanation.ports.empty()) return call.fail(kExitFailed, no_such_port(*name, ports));
  if (call.json()) {
    print_explanation_json(call.out, view);
  } else {
    print_explanation(call.out, view);
  }
  return kExitOk;
}

}  // namespace topolb::cli
