// SPDX-License-Identifier: Apache-2.0
#include "net/tc/agent_cluster.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "dataplane/bpf_map.h"
#include "dataplane/packet_events.h"
#include "dataplane/pins.h"

namespace topolb::test {
namespace {

namespace fs = std::filesystem;

std::string program(const char* variable) {
  const char* path = std::getenv(variable);
  if (path == nullptr) throw std::runtime_error(std::string(variable) + " is not set");
  return path;
}

std::uint64_t dropped_packets(const std::string& pin_path) {
  const auto map = dataplane::open_pinned(dataplane::pin_of_map(pin_path, "packet_events"));
  const auto events = map ? dataplane::read_packet_events(map->get()) : map.error();
  if (!events) throw std::runtime_error(events.error().message());
  for (const auto& event : *events) {
    if (event.name == "dropped") return event.count;
  }
  throw std::runtime_error("no count of dropped packets");
}

}  // namespace

AgentCluster::AgentCluster()
    : directory_(fs::temp_directory_path() / fmt::format("topolb-test-{}-cluster", ::getpid())) {
  fs::create_directories(directory_ / "manifests");
  if (::mkdir(cgroup(2).c_str(), 0755) != 0 && errno != EEXIST) {
    throw std::runtime_error("make cgroup " + cgroup(2));
  }
}

AgentCluster::~AgentCluster() {
  servers_.clear();
  agents_.clear();
  std::error_code ignored;
  (void)dataplane::remove_pins(pin_path(2));
  ::rmdir(cgroup(2).c_str());
  fs::remove_all(directory_, ignored);
}

std::string AgentCluster::pin_path(int node) const {
  return node == 1 ? topology_.pin_path()
                   : fmt::format("/sys/fs/bpf/topolb-test-{}-node2", ::getpid());
}

std::string AgentCluster::cgroup(int node) const {
  return node == 1 ? topology_.cgroup()
                   : fmt::format("{}/topolb-test-{}-node2", *dataplane::find_cgroup2(), ::getpid());
}

void AgentCluster::write(const std::string& file, const std::string& text) const {
  const auto hidden = directory_ / ("." + file);
  std::ofstream(hidden) << text << std::flush;
  fs::rename(hidden, directory_ / "manifests" / file);
}

void AgentCluster::start_agent(int node, const Words& more) {
  Words command{program("TOPOLBD"),
                "--node",
                fmt::format("n{}", node),
                "--manifests",
                directory_ / "manifests",
                "--cgroup",
                cgroup(node),
                "--pin-path",
                pin_path(node)};
  command.insert(command.end(), more.begin(), more.end());
  Process::Preparation prepare;
  if (node == 2) {
    prepare = [path = topology_.netns_path("node2")] {
      const UniqueFd there(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
      return ::setns(there.get(), CLONE_NEWNET) == 0;
    };
  }
  agents_[node] = std::make_unique<Process>(command, prepare);
  if (!agents_[node]->wait_for(" ready: ")) throw std::runtime_error(agents_[node]->err());
}

void AgentCluster::stop_agent(int node, int signal) {
  agents_.at(node)->signal(signal);
  (void)agents_.at(node)->wait();
}

Outcome AgentCluster::topolb(int node, Words words) const {
  words.insert(words.begin(), program("TOPOLB"));
  words.insert(words.end(), {"--pin-path", pin_path(node)});
  Outcome outcome;
  if (node == 1) return run_to_end(words);
  topology_.inside("node2", [&] { outcome = run_to_end(words); });
  return outcome;
}

Server& AgentCluster::serve(const std::string& place, const std::string& address,
                            Protocol protocol) {
  topology_.inside(place, [&] { servers_.push_back(std::make_unique<Server>(address, protocol)); });
  return *servers_.back();
}

Seen AgentCluster::dial(const std::string& place, const std::string& frontend,
                        Protocol protocol) const {
  Seen seen;
  topology_.inside(place, [&] {
    seen = protocol == Protocol::TCP ? dial_tcp(frontend) : dial_connected_udp(frontend);
  });
  return seen;
}

bool AgentCluster::comes_to(const std::string& place, const std::string& frontend,
                            const std::string& backend, Protocol protocol) const {
  return wait_until([&] { return dial(place, frontend, protocol).backend == backend; });
}

bool AgentCluster::is_dropped(const std::string& place, const std::string& frontend,
                              int node) const {
  const auto before = dropped_packets(pin_path(node));
  Seen seen;
  topology_.inside(place, [&] {
    seen = dial_tcp(frontend, SocketFamily::Natural, std::chrono::milliseconds(200));
  });
  return seen.error == EINPROGRESS &&
         wait_until([&] { return dropped_packets(pin_path(node)) > before; });
}

void AgentCluster::in(const std::string& place, const std::string& command) const {
  topology_.inside(place, [&] { run(command); });
}

std::string dual_stack_text(const DualStackService& service,
                            const std::vector<DualStackEndpoint>& endpoints) {
  const auto node_port =
      service.node_port == 0 ? "" : fmt::format(", nodePort: {}", service.node_port);
  auto text = fmt::format(
      "apiVersion: v1\nkind: Service\nmetadata: {{name: {0}, namespace: default{6}}}\n"
      "spec: {{clusterIPs: [{1}], ports: [{{name: t, port: 80, protocol: TCP{2}}}, "
      "{{name: u, port: 80, protocol: UDP{2}}}]{3}{4}}}\n{5}",
      service.name, service.cluster_ips, node_port, service.spec.empty() ? "" : ", ", service.spec,
      service.status.empty() ? "" : fmt::format("status: {{{}}}\n", service.status),
      service.metadata.empty() ? "" : ", " + service.metadata);
  for (const bool ipv6 : {false, true}) {
    text += fmt::format(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
        "metadata: {{name: {0}-{1}, namespace: default, labels: {{kubernetes.io/service-name: "
        "{0}}}}}\naddressType: IP{1}\nports: [{{name: t, port: 8080, protocol: TCP}}, "
        "{{name: u, port: 8080, protocol: UDP}}]\nendpoints:{2}\n",
        service.name, ipv6 ? "v6" : "v4", endpoints.empty() ? " []" : "");
    for (const auto& endpoint : endpoints) {
      text += fmt::format(
          "- {{addresses: [\"{}\"], nodeName: n{}, conditions: {{{}}}}}\n",
          ipv6 ? fmt::format("fd00:1:{}::2", endpoint.pod) : fmt::format("10.1.{}.2", endpoint.pod),
          endpoint.pod, endpoint.conditions);
    }
  }
  return text;
}

}  // namespace topolb::test
