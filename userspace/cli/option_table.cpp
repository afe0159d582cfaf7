// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>

#include "cli/command.h"

namespace topolb::cli {
namespace {

constexpr auto kOptions = std::to_array<OptionSpec>({
    {kTakesManifests, "--manifests", "DIR",
     "read the objects from the YAML and JSON files below DIR", &Options::manifests},
    {kTakesKubeconfig, "--kubeconfig", "FILE",
     "the cluster, and who you are to it, as kubectl has them", &Options::kubeconfig},
    {kTakesContext, "--context", "NAME", "a context of the kubeconfig other than its current one",
     &Options::context},
    {kTakesNode, "--node", "NAME", "the node to plan for", &Options::node},
    {kTakesAllNodes, "--all-nodes", "", "plan for every node, and add up their traffic", nullptr,
     &Options::all_nodes},
    {kTakesScope, "--scope", "all|opted-in",
     "all Services (default), or those labelled topolb.io/enabled=true", &Options::scope},
    {kTakesProxyName, "--service-proxy-name", "NAME",
     "also Services labelled service.kubernetes.io/service-proxy-name=NAME",
     &Options::service_proxy_name},
    {kTakesPinPath, "--pin-path", "DIR", "where the agent pins (default /sys/fs/bpf/topolb)",
     &Options::pin_path},
    {kTakesSpec, "--spec", "",
     "spec.topologyKeys instead of the annotation: for clusters before 1.22, which have that field",
     nullptr, &Options::spec},
    {kTakesDryRun, "--dry-run", "", "change nothing; show which nodes' traffic would move", nullptr,
     &Options::dry_run},
    {kTakesOutput, "-o,--output", "table|json", "for people (default) or for scripts",
     &Options::output},
});

}  // namespace

std::span<const OptionSpec> option_table() { return kOptions; }

std::string OptionSpec::text() const {
  return value.empty() ? std::string(name()) : fmt::format("{} {}", name(), value);
}

std::string OptionSpec::full_text() const {
  const auto comma = flags.find(',');
  if (comma == std::string_view::npos) return text();
  return fmt::format("{}, {}", flags.substr(0, comma), text());
}

bool OptionSpec::is_given(const Options& options) const {
  return flag != nullptr ? options.*flag : !(options.*target).empty();
}

}  // namespace topolb::cli
