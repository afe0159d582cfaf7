// SPDX-License-Identifier: Apache-2.0
// Everybody's own programs as clients and servers, in the namespaces of two agents.
#pragma once

#include <fmt/format.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "net/json_text.h"
#include "net/tc/agents_fixture.h"

namespace topolb::test {

class ProgramsAsClients : public TcAgents {
 protected:
  /// A program in a namespace, to its end; on node 1 as a process of the node.
  Outcome run_in(const std::string& place, const Words& command) const {
    return run_to_end(inside(place, command));
  }
  /// One that runs until the test ends.
  Process& start_in(const std::string& place, const Words& command) {
    return *programs_.emplace_back(std::make_unique<Process>(inside(place, command)));
  }
  /// HTTP and DNS in pod 1 or 2.
  void serve_pod(int pod) {
    const auto* script = std::getenv("POD_SERVER");
    ASSERT_NE(script, nullptr);
    auto& server = start_in(
        fmt::format("pod{}", pod),
        {"python3", script, fmt::format("10.1.{}.2", pod), fmt::format("fd00:1:{}::2", pod)});
    ASSERT_TRUE(server.wait_for("serving")) << server.err();
  }
  /// iperf3 in pod 2.
  void serve_iperf() {
    iperf_server_ = &start_in("pod2", {"iperf3", "--server", "--port", "8080", "--forceflush"});
  }
  /// From now on it says nothing: not of what happens to its connections either.
  void silence_iperf_server() { iperf_server_->signal(SIGSTOP); }
  /// A client of it, which has sent something.
  Process& start_iperf(const std::string& frontend, const Words& more) {
    wait_for_iperf_server();
    const auto at = socket_address(frontend);
    Words command{"iperf3",
                  "--client",
                  at.address.to_string(),
                  "--port",
                  std::to_string(at.port),
                  "--forceflush",
                  "--interval",
                  "0.2"};
    command.insert(command.end(), more.begin(), more.end());
    auto& client = start_in("client", command);
    EXPECT_TRUE(wait_until([&] { return client.out().find("Bytes ") != std::string::npos; }))
        << client.out();
    return client;
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
  std::int64_t iperf(const std::string& frontend, const Words& more) {
    wait_for_iperf_server();
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
  /// Until the iperf3 server says that it listens: a client that comes before is sent away.
  void wait_for_iperf_server() {
    ++iperf_clients_;
    EXPECT_TRUE(wait_until([&] {
      int times = 0;
      for (const auto& line : lines_of(iperf_server_->out())) {
        if (line.find("listening") != std::string::npos) ++times;
      }
      return times >= iperf_clients_;
    })) << iperf_server_->out();
  }
  [[nodiscard]] Words inside(const std::string& place, const Words& command) const {
    const auto node1 = "echo $$ > " + cluster_.cgroup(1) + "/cgroup.procs; exec \"$@\"";
    Words words = place == "node1"
                      ? Words{"sh", "-c", node1, "sh"}
                      : Words{"nsenter", "--net=" + cluster_.topology().netns_path(place)};
    words.insert(words.end(), command.begin(), command.end());
    return words;
  }

  std::vector<std::unique_ptr<Process>> programs_;
  Process* iperf_server_ = nullptr;
  int iperf_clients_ = 0;
};

}  // namespace topolb::test
