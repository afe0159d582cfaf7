// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"
#include "cli/handlers.h"

namespace topolb::cli {

const std::vector<OptionSpec>& option_table() {
  static const std::vector<OptionSpec> table{
      {kTakesManifests, "--manifests", "DIR",
       "read the objects from the YAML and JSON files below DIR", &Options::manifests},
      {kTakesKubeconfig, "--kubeconfig", "FILE", "read the objects from the cluster of this file",
       &Options::kubeconfig},
      {kTakesContext, "--context", "NAME", "a context of the kubeconfig other than its current one",
       &Options::context},
      {kTakesNode, "--node", "NAME", "the node to plan for", &Options::node},
      {kTakesScope, "--scope", "all|opted-in",
       "all Services (default), or those labelled topolb.io/enabled=true", &Options::scope},
      {kTakesProxyName, "--service-proxy-name", "NAME",
       "also Services labelled service.kubernetes.io/service-proxy-name=NAME",
       &Options::service_proxy_name},
      {kTakesPinPath, "--pin-path", "DIR", "where the agent pins (default /sys/fs/bpf/topolb)",
       &Options::pin_path},
      {kTakesOutput, "-o,--output", "table|json", "for people (default) or for scripts",
       &Options::output},
  };
  return table;
}

const std::vector<Command>& command_table() {
  constexpr unsigned kCluster =
      kTakesObjects | kTakesContext | kTakesScope | kTakesProxyName | kTakesOutput;
  constexpr unsigned kKernel = kTakesPinPath | kTakesOutput;
  static const std::vector<Command> table{
      {"plan", "", "what a node would program",
       "Reads objects only: needs no root, no kernel support and no agent. Exits 0 even if some "
       "objects have problems; `topolb check` exits 1 then.",
       "topolb plan --manifests ./manifests --node node-1\n"
       "topolb plan --kubeconfig ~/.kube/config --node node-1 -o json",
       kCluster | kTakesNode, kTakesObjects | kTakesNode, "", nullptr, run_plan},
      {"check", "", "what is wrong in the objects",
       "Exits 1 if there is a problem. Good for a pipeline, before objects are applied.",
       "topolb check --manifests ./manifests\n"
       "topolb check --manifests ./manifests -o json",
       kCluster, kTakesObjects, "", nullptr, run_check},
      {"explain", "", "why a Service gets the backends that it gets on a node",
       "For each port, family and kind of traffic: what happens and why, and each endpoint with "
       "the reason why it is in or out. PORT is a number or a name.",
       "topolb explain default/web --node node-1 --manifests ./manifests\n"
       "topolb explain default/web:http --node node-1 --manifests ./manifests -o json",
       kCluster | kTakesNode, kTakesObjects | kTakesNode, "NAMESPACE/NAME[:PORT]", &Options::object,
       run_explain},
      {"status", "", "agent, hooks, map fill, age of the state",
       "Exits 1 if no agent runs or a hook is not attached.",
       "sudo topolb status\n"
       "sudo topolb status -o json",
       kKernel, 0, "", nullptr, run_status},
      {"service", "list", "the Services in the kernel, and where their traffic goes",
       "INTERNAL is for clients of the cluster IP, EXTERNAL for clients from outside. 2/6 means: "
       "2 backends take new connections, of 6 that the kernel knows for this traffic.",
       "sudo topolb service list\n"
       "sudo topolb service list -o json",
       kKernel, 0, "", nullptr, run_service_list},
      {"service", "show", "everything about one Service in the kernel",
       "Each tier with its backends, their states and the connections that it got. Node-external "
       "is "
       "for this node's own sockets that dial a NodePort, an external or a load balancer's IP.",
       "sudo topolb service show default/web\n"
       "sudo topolb service show default/web:http -o json",
       kKernel, 0, "NAMESPACE/NAME[:PORT]", &Options::object, run_service_show},
      {"backend", "list", "the backends in the kernel, and who uses them", "",
       "sudo topolb backend list\n"
       "sudo topolb backend list -o json",
       kKernel, 0, "", nullptr, run_backend_list},
      {"map", "list", "the pinned maps: type, fill, memory", "",
       "sudo topolb map list\n"
       "sudo topolb map list -o json",
       kKernel, 0, "", nullptr, run_map_list},
      {"map", "dump", "every live entry of a map, decoded", "`topolb map list` shows the names.",
       "sudo topolb map dump frontends\n"
       "sudo topolb map dump backends -o json",
       kKernel, 0, "NAME", &Options::map, run_map_dump},
      {"cleanup", "", "remove every program, map and pin of a pin path",
       "Refused while an agent runs there. Connections made through topolb stay as they are, but "
       "new ones to a Service address no longer reach a backend.",
       "sudo topolb cleanup\n"
       "sudo topolb cleanup --pin-path /sys/fs/bpf/topolb-test",
       kKernel, 0, "", nullptr, run_cleanup},
      {"version", "", "the version of this program", "", "topolb version", kTakesOutput, 0, "",
       nullptr, run_version},
  };
  return table;
}

}  // namespace topolb::cli
