// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "cli/command.h"
#include "cli/handlers.h"

namespace topolb::cli {
namespace {

constexpr unsigned kCluster =
    kTakesObjects | kTakesContext | kTakesScope | kTakesProxyName | kTakesOutput;
constexpr unsigned kKernel = kTakesPinPath | kTakesOutput;
constexpr unsigned kTopology = kTakesKubeconfig | kTakesContext | kTakesOutput;

constexpr std::string_view kServiceArgument = "NAMESPACE/NAME";
constexpr std::string_view kUsualCluster =
    "Without --kubeconfig: the cluster that kubectl uses, by $KUBECONFIG, ~/.kube/config, or the "
    "service account of this pod.";
constexpr std::string_view kSetDetails =
    "KEYs are names of Node labels, the most preferred one first. A backend matches a KEY if its "
    "node and the client's have the same value of that label; the first KEY that a ready backend "
    "matches decides. The usual ones are kubernetes.io/hostname (the same node), "
    "topology.kubernetes.io/zone and topology.kubernetes.io/region; `kubectl get nodes "
    "--show-labels` shows all.\n"
    "The last KEY may be * for any backend; put it in quotes, '*', or the shell replaces it. "
    "Without it, a client that no backend is near enough to is refused. At most 16, none twice, "
    "and not together with externalTrafficPolicy Local.\n"
    "Sets the annotation topolb.io/topology-keys. Exits 1 if the Service is not there or cannot "
    "have these keys, 2 if a KEY is wrong or you have no right.\n"
    "Without --kubeconfig: the cluster that kubectl uses, by $KUBECONFIG, ~/.kube/config, or the "
    "service account of this pod.";
constexpr std::string_view kUnsetDetails =
    "The Service is then served as kube-proxy serves it: by its traffic policies and hints.\n"
    "Without --kubeconfig: the cluster that kubectl uses, by $KUBECONFIG, ~/.kube/config, or the "
    "service account of this pod.";

constexpr auto kCommands = std::to_array<Command>({
    {.section = Section::Objects,
     .noun = "plan",
     .summary = "what a node would program, or all nodes",
     .details = "Reads objects only: needs no root, no kernel support and no agent. --all-nodes "
                "shows how the traffic of the whole cluster spreads, if every node sends as much "
                "to each Service port: nodes without a backend, overloaded backends and zones. "
                "Exits 0 even if some objects have problems; `topolb check` exits 1 then.",
     .examples = "topolb plan --manifests ./manifests --node node-1\n"
                 "topolb plan --kubeconfig ~/.kube/config --node node-1 -o json\n"
                 "topolb plan --kubeconfig ~/.kube/config --all-nodes",
     .options = kCluster | kTakesNode | kTakesAllNodes,
     .one_of = {kTakesObjects, kTakesNode | kTakesAllNodes},
     .handler = run_plan},
    {.section = Section::Objects,
     .noun = "check",
     .summary = "what is wrong in the objects",
     .details = "Exits 1 if there is a problem. Good for a pipeline, before objects are applied.",
     .examples = "topolb check --manifests ./manifests\n"
                 "topolb check --kubeconfig ~/.kube/config --context prod -o json",
     .options = kCluster,
     .one_of = {kTakesObjects},
     .handler = run_check},
    {.section = Section::Objects,
     .noun = "explain",
     .summary = "why a Service gets the backends that it gets on a node",
     .details = "For each port, family and kind of traffic: what happens and why, and each "
                "endpoint with the reason why it is in or out. PORT is a number or a name. Without "
                "--node: the node of the agent that pinned its maps here.",
     .examples = "topolb explain default/web --node node-1 --manifests ./manifests\n"
                 "topolb explain default/web:http --node node-1 --manifests ./manifests -o json",
     .options = kCluster | kTakesNode | kTakesPinPath,
     .one_of = {kTakesObjects},
     .argument = "NAMESPACE/NAME[:PORT]",
     .argument_target = &Options::object,
     .handler = run_explain},
    {.section = Section::Topology,
     .noun = "topology",
     .verb = "get",
     .summary = "a Service's topology keys, and whether they are valid",
     .details = kUsualCluster,
     .examples = "topolb topology get default/web\n"
                 "topolb topology get default/web -o json",
     .options = kTopology,
     .argument = kServiceArgument,
     .argument_target = &Options::object,
     .handler = run_topology_get},
    {.section = Section::Topology,
     .noun = "topology",
     .verb = "set",
     .summary = "set a Service's topology keys",
     .details = kSetDetails,
     .examples = "topolb topology set default/web topology.kubernetes.io/zone --dry-run\n"
                 "topolb topology set default/web topology.kubernetes.io/zone '*'\n"
                 "topolb topology set default/web kubernetes.io/hostname example.com/rack",
     .options = kTopology | kTakesSpec | kTakesDryRun,
     .argument = kServiceArgument,
     .argument_target = &Options::object,
     .rest = "KEY...",
     .rest_target = &Options::keys,
     .handler = run_topology_set},
    {.section = Section::Topology,
     .noun = "topology",
     .verb = "unset",
     .summary = "take a Service's topology keys away",
     .details = kUnsetDetails,
     .examples = "topolb topology unset default/web --dry-run\n"
                 "topolb topology unset default/web",
     .options = kTopology | kTakesSpec | kTakesDryRun,
     .argument = kServiceArgument,
     .argument_target = &Options::object,
     .handler = run_topology_unset},
    {.section = Section::Kernel,
     .noun = "status",
     .summary = "agent, hooks, map fill, age of the state",
     .details = "Exits 1 if something is missing: no agent runs, no state is complete yet, or a "
                "hook is not attached.",
     .examples = "sudo topolb status\n"
                 "sudo topolb status -o json",
     .options = kKernel,
     .handler = run_status},
    {.section = Section::Kernel,
     .noun = "service",
     .verb = "list",
     .summary = "the Services in the kernel, and where their traffic goes",
     .details = "INTERNAL is for clients of the cluster IP, EXTERNAL for clients from outside. "
                "\"zone 2/6\" means: the zone decides, and 2 backends take new connections, of 6 "
                "that the kernel knows for this traffic.",
     .examples = "sudo topolb service list\n"
                 "sudo topolb service list -o json",
     .options = kKernel,
     .handler = run_service_list},
    {.section = Section::Kernel,
     .noun = "service",
     .verb = "show",
     .summary = "everything about one Service in the kernel",
     .details = "Each tier with its backends, their states and the connections that it got. "
                "Node-external is for this node's own sockets that dial a NodePort, an external IP "
                "or a load balancer's IP.",
     .examples = "sudo topolb service show default/web\n"
                 "sudo topolb service show default/web:http -o json",
     .options = kKernel,
     .argument = "NAMESPACE/NAME[:PORT]",
     .argument_target = &Options::object,
     .handler = run_service_show},
    {.section = Section::Kernel,
     .noun = "backend",
     .verb = "list",
     .summary = "the backends in the kernel, and who uses them",
     .examples = "sudo topolb backend list\n"
                 "sudo topolb backend list -o json",
     .options = kKernel,
     .handler = run_backend_list},
    {.section = Section::Kernel,
     .noun = "flow",
     .verb = "list",
     .summary = "the flows of the per-packet path",
     .details = "By Service, frontend, and the topology key that decided. AS is the source port "
                "that the backend sees, of the node's address if the flow is masqueraded; - if it "
                "is the client's own.",
     .examples = "sudo topolb flow list\n"
                 "sudo topolb flow list -o json",
     .options = kKernel,
     .handler = run_flow_list},
    {.section = Section::Kernel,
     .noun = "map",
     .verb = "list",
     .summary = "the pinned maps: type, fill, memory",
     .examples = "sudo topolb map list\n"
                 "sudo topolb map list -o json",
     .options = kKernel,
     .handler = run_map_list},
    {.section = Section::Kernel,
     .noun = "map",
     .verb = "dump",
     .summary = "every live entry of a map, decoded",
     .details = "`topolb map list` shows the names.",
     .examples = "sudo topolb map dump frontends\n"
                 "sudo topolb map dump backends -o json",
     .options = kKernel,
     .argument = "NAME",
     .argument_target = &Options::map,
     .handler = run_map_dump},
    {.section = Section::Kernel,
     .noun = "cleanup",
     .summary = "remove every program, map and pin of a pin path",
     .details = "Refused while an agent runs there. Connections made through topolb stay as they "
                "are, but new ones to a Service address no longer reach a backend.",
     .examples = "sudo topolb cleanup\n"
                 "sudo topolb cleanup --pin-path /sys/fs/bpf/topolb-test",
     .options = kKernel,
     .handler = run_cleanup},
    {.section = Section::Other,
     .noun = "completion",
     .summary = "a script that completes this program's words in a shell",
     .details = "Completes commands, options, their values, and the names of Services, nodes, "
                "labels, maps and contexts.\n"
                "bash: put `. <(topolb completion bash)` into ~/.bashrc; zsh: `. <(topolb "
                "completion zsh)` into ~/.zshrc, after compinit; fish: `topolb completion fish | "
                "source` into ~/.config/fish/config.fish.",
     .examples = "topolb completion bash\n"
                 "topolb completion fish",
     .argument = "bash|zsh|fish",
     .argument_target = &Options::shell,
     .handler = run_completion},
    {.section = Section::Other,
     .noun = "help",
     .summary = "what a command does, its options and examples",
     .examples = "topolb help plan\n"
                 "topolb help service show",
     .rest = "[COMMAND]",
     .rest_target = &Options::words,
     .handler = run_help},
    {.section = Section::Other,
     .noun = "version",
     .summary = "the version of this program",
     .examples = "topolb version",
     .options = kTakesOutput,
     .handler = run_version},
});

constexpr auto kSections = std::to_array<SectionTitle>(
    {{Section::Objects, "From Kubernetes objects (no root, no agent)"},
     {Section::Topology, "A Service's topology keys, in the cluster that kubectl uses"},
     {Section::Kernel, "From this machine's kernel (root; works while the agent is down)"},
     {Section::Other, "Other"}});

constexpr auto kExitCodes =
    std::to_array<ExitCode>({{kExitOk, "good"},
                             {kExitFailed, "problems were found, or it failed"},
                             {kExitUsage, "wrong flags, unreadable input, or no right"}});

}  // namespace

std::span<const SectionTitle> section_table() { return kSections; }
std::span<const ExitCode> exit_code_table() { return kExitCodes; }
std::span<const Command> command_table() { return kCommands; }

const Command* find_command(std::string_view noun, std::string_view verb) {
  const auto* found = std::ranges::find_if(kCommands, [&](const Command& command) {
    return command.noun == noun && command.verb == verb;
  });
  return found == kCommands.end() ? nullptr : found;
}

}  // namespace topolb::cli
