// SPDX-License-Identifier: Apache-2.0
// Everybody's own programs as clients, with two agents and no kube-proxy rule anywhere: curl, dig,
// iperf3, ping, traceroute.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <sstream>

#include "net/json_text.h"
#include "net/tc/agents_fixture.h"

namespace topolb::test {
namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

class ProgramsAsClients : public TcAgents {
 protected:
  /// A program in a namespace, to its end.
  Outcome run_in(const std::string& place, const Words& command) const {
    return run_to_end(inside(place, command));
  }
  /// One that serves until the test ends; `ready` is what it says then.
  void serve_by(const std::string& place, const Words& command, const std::string& ready) {
    programs_.push_back(std::make_unique<Process>(inside(place, command)));
    ASSERT_TRUE(programs_.back()->wait_for(ready)) << programs_.back()->err();
  }
  /// HTTP and DNS in pod 1 or 2.
  void serve_pod(int pod) {
    const auto* script = std::getenv("POD_SERVER");
    ASSERT_NE(script, nullptr);
    serve_by(fmt::format("pod{}", pod),
             {"python3", script, fmt::format("10.1.{}.2", pod), fmt::format("fd00:1:{}::2", pod)},
             "serving");
  }
  /// The body that curl got, or what it said went wrong.
  std::string curl(const std::string& place, const std::string& frontend,
                   const std::string& path = "/") const {
    const auto got = run_in(place, {"curl", "--silent", "--show-error", "--noproxy", "*",
                                    "--max-time", "10", "http://" + frontend + path});
    return got.exit_code == 0 ? got.out : got.err;
  }
  /// The address that dig was told, or what it said.
  std::string dig(const std::string& place, const std::string& frontend) const {
    const auto at = socket_address(frontend);
    const bool ipv6 = at.address.family() == Family::IPv6;
    const auto got =
        run_in(place, {"dig", "@" + at.address.to_string(), "-p", std::to_string(at.port), "+short",
                       "+tries=1", "+time=10", "name.example", ipv6 ? "AAAA" : "A"});
    return got.out.substr(0, got.out.find('\n'));
  }
  /// How many bytes iperf3 says were received of 32 MB; 0 when it failed.
  std::int64_t iperf(const std::string& frontend, const Words& more) const {
    const auto at = socket_address(frontend);
    Words command{
        "iperf3",  "--client", at.address.to_string(), "--port", std::to_string(at.port), "--json",
        "--bytes", "32000000"};
    command.insert(command.end(), more.begin(), more.end());
    const auto got = run_in("client", command);
    if (got.exit_code != 0) {
      std::fprintf(stderr, "%s%s", got.out.c_str(), got.err.c_str());
      return 0;
    }
    const JsonText report(got.out);
    return report.number(report.has("/end/sum_received") ? "/end/sum_received/bytes"
                                                         : "/end/sum/bytes");
  }
  void ping(const std::string& place, const std::string& address) const {
    const auto pinged = run_in(place, {"ping", "-c", "1", "-W", "10", address});
    EXPECT_EQ(pinged.exit_code, 0) << place << " " << pinged.out << pinged.err;
  }
  /// The addresses that traceroute shows, in order, "*" where nobody answered.
  std::vector<std::string> trace(const std::string& frontend, const std::string& method) const {
    const auto at = socket_address(frontend);
    const auto got =
        run_in("client", {"traceroute", method, "-n", "-q", "1", "-N", "1", "-w", "5", "-m", "8",
                          "-p", std::to_string(at.port), at.address.to_string()});
    std::vector<std::string> hops;
    for (const auto& line : lines_of(got.out)) {
      std::istringstream words(line);
      std::string number;
      std::string hop;
      if (line.find("traceroute to") == std::string::npos && words >> number >> hop) {
        hops.push_back(hop);
      }
    }
    return hops;
  }

 private:
  [[nodiscard]] Words inside(const std::string& place, const Words& command) const {
    if (place == "node1") return command;
    Words words{"nsenter", "--net=" + cluster_.topology().netns_path(place)};
    words.insert(words.end(), command.begin(), command.end());
    return words;
  }

  std::vector<std::unique_ptr<Process>> programs_;
};

/// The frontends of one family, all with the same backend.
struct Frontends {
  std::vector<std::string> from_outside;
  std::string cluster_ip;
  std::string backend;
};

TEST_F(ProgramsAsClients, CurlAndDigReachEveryServiceType) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  cluster_.write(
      "near.yaml",
      dual_stack_text(
          {.name = "near",
           .cluster_ips = "10.96.0.2, \"fd00:96::2\"",
           .spec = "type: LoadBalancer, externalIPs: [203.0.113.10, \"2001:db8:1::a\"]",
           .node_port = 30081,
           .status = "loadBalancer: {ingress: [{ip: 203.0.113.6}, {ip: \"2001:db8:1::6\"}]}"},
          {{.pod = 1}}));
  start({"--pod-devices", "pod*"});
  serve_pod(1);
  serve_pod(2);
  const std::vector<Frontends> all{
      {{kIPv4.node1, kIPv4.node2, kIPv4.balancer, kIPv4.external_ip},
       kIPv4.cluster_ip,
       host_of(kIPv4.pod2)},
      {{kIPv6.node1, kIPv6.node2, kIPv6.balancer, kIPv6.external_ip},
       kIPv6.cluster_ip,
       host_of(kIPv6.pod2)},
      {{"192.0.2.10:30081", "192.0.2.11:30081", "203.0.113.6:80", "203.0.113.10:80"},
       "10.96.0.2:80",
       host_of(kIPv4.pod1)},
      {{"[2001:db8::10]:30081", "[2001:db8::11]:30081", "[2001:db8:1::6]:80", "[2001:db8:1::a]:80"},
       "[fd00:96::2]:80",
       host_of(kIPv6.pod1)}};
  for (const auto& [from_outside, cluster_ip, backend] : all) {
    const auto check = [&, &backend = backend](const std::string& place,
                                               const std::string& frontend) {
      SCOPED_TRACE(place + " to " + frontend);
      EXPECT_THAT(curl(place, frontend), StartsWith(backend + " "));
      EXPECT_EQ(curl(place, frontend, "/bulk").size(), 1'000'000U);
      EXPECT_EQ(dig(place, frontend), backend);
    };
    for (const auto& frontend : from_outside) check("client", frontend);
    for (const auto* pod : {"pod1", "pod2"}) {
      check(pod, cluster_ip);
      check(pod, from_outside.front());
      check(pod, from_outside[2]);
    }
  }
}

TEST_F(ProgramsAsClients, IperfThroughOneNodeToAnother) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  start();
  serve_by("pod2", {"iperf3", "--server", "--port", "8080", "--forceflush"}, "");
  for (const auto& at : {kIPv4, kIPv6}) {
    // What lies in the buffers of both sockets at the end is not counted.
    EXPECT_GT(iperf(at.node1, {}), 16'000'000) << at.node1;
    EXPECT_GT(iperf(at.node1, {"--reverse"}), 16'000'000) << at.node1;
    EXPECT_GT(iperf(at.node1, {"--udp", "--length", "1200", "--bitrate", "300M"}), 0) << at.node1;
  }
}

TEST_F(ProgramsAsClients, PingAndTracerouteSeeRouters) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  start();
  serve_pod(2);
  for (const auto& at : {kIPv4, kIPv6}) {
    const auto node1 = host_of(at.node1);
    const auto router = at.client == kIPv4.client ? "198.51.100.1" : "2001:db8:5::1";
    for (const auto& address : {node1, host_of(at.node2)}) ping("client", address);
    ping("pod1", host_of(at.pod2));
    // Node 2 is hidden behind the address that was dialled, as kube-proxy has it.
    for (const auto* method : {"-U", "-T"}) {
      for (const auto& frontend : {at.node1, at.balancer}) {
        EXPECT_THAT(trace(frontend, method),
                    ElementsAre(router, node1, host_of(frontend), host_of(frontend)))
            << method << " " << frontend;
      }
    }
  }
}

}  // namespace
}  // namespace topolb::test
