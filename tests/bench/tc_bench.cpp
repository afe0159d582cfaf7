// SPDX-License-Identifier: Apache-2.0
// What a packet costs at TC, beside a program that does nothing, by BPF_PROG_TEST_RUN.
#include <bpf/bpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <unordered_set>
#include <vector>

#include "bench_report.h"
#include "support/packet_path.h"
#include "tc_bench.skel.h"

namespace topolb::bench {
namespace {

using test::Bytes;
using test::Hook;
using test::kAck;
using test::kSyn;

constexpr std::uint32_t kRoom = TOPOLB_MAX_FLOWS;  // a table that has grown as far as it does
constexpr int kPackets = 20'000;
constexpr int kNewFlows = 1000;
constexpr int kFlows = 10'000;
constexpr int kServices = 10'000;
constexpr std::uint32_t kNeverTheSame = 0xffffffff;

// Offsets in a frame: of the last two bytes of the addresses, and of the ports.
constexpr std::uint32_t kSource = 28;
constexpr std::uint32_t kDestination = 32;
constexpr std::uint32_t kSourcePort = 34;
constexpr std::uint32_t kDestinationPort = 36;

constexpr const char* kNodePort = "192.0.2.10:30080";
constexpr const char* kNear = "10.96.0.2:80";
constexpr const char* kNearBackend = "10.2.0.2:8080";

// As in tc_bench.bpf.c: of the flow that it numbers so.
constexpr int kFirstPort = 20000;
constexpr int kPorts = 40000;
constexpr int kPortStep = 9;
std::string client(int flow) {
  const int port = flow * kPortStep;
  return fmt::format("198.51.100.{}:{}", 7 + port / kPorts, kFirstPort + port % kPorts);
}
constexpr std::uint16_t kClientAddress = 100 << 8 | 7;
constexpr const char* kScatteredClient = "198.18.0.0:0";

std::string service_address(int number) {
  return fmt::format("10.100.{}.{}:80", number >> 8, number & 0xff);
}

// None of the Services is to be left out.
dataplane::MapSizes room_for_services() {
  constexpr std::uint32_t kEntries = 1 << 15;
  static_assert(kEntries >= 3 * kServices);
  return {.frontends = kEntries,
          .services = kEntries,
          .sets = kEntries,
          .slot_lines = kEntries,
          .backends = kEntries,
          .affinities = kEntries,
          .counters = 2 * kEntries};
}

std::vector<core::ServicePortPlan> make_plan() {
  using test::traffic;
  // More than one backend: each has ports for 20,000 masqueraded flows.
  const auto remote =
      traffic({{"", {"10.1.255.1:8080", "10.1.255.2:8080", "10.1.255.3:8080", "10.1.255.4:8080"}}});
  auto web = test::service("web", "10.96.0.1:80", Protocol::TCP, remote);
  test::add_frontend(web, core::FrontendKind::NodePort, "0.0.0.0:30080", remote);
  std::vector<core::ServicePortPlan> plan{
      web, test::service("near", kNear, Protocol::TCP, traffic({{"", {kNearBackend}}}))};
  for (int i = 0; i < kServices; ++i) {
    const auto backend = fmt::format("10.1.{}.{}:8080", i >> 8, i & 0xff);
    plan.push_back(test::service(fmt::format("random{}", i), service_address(i), Protocol::TCP,
                                 traffic({{"", {backend}}})));
  }
  return plan;
}

Bytes packet(const std::string& source, const std::string& destination, std::uint8_t flags) {
  test::PacketSpec spec;
  spec.source = source;
  spec.destination = destination;
  spec.tcp_flags = flags;
  spec.payload = std::string(100, 'x');
  return build(spec);
}

/// A row, and what to run for it.
struct Measurement {
  Report::Row row;
  Hook hook = Hook::Ingress;
  Bytes frame;
  int packets = kPackets;
  std::uint32_t flows = 0;
  std::uint32_t services = 0;
  std::uint32_t next_flow = 0;
  bool are_clients_scattered = false;
};

class Bench {
 public:
  explicit Bench(int rounds) : rounds_(rounds), path_(kRoom, room_for_services()) {
    if (cost_ == nullptr || tc_bench__load(cost_) != 0) {
      throw std::runtime_error("load tc_bench.bpf.o");
    }
    path_.settings().masquerade_port_min = 1024;  // as an agent has it
    path_.publish(make_plan(), {kNearBackend});
  }
  ~Bench() { tc_bench__destroy(cost_); }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  void run(Report& report) {
    add_measurements();
    std::mt19937 random(1);
    for (int round = 0; round <= rounds_; ++round) {
      std::shuffle(measurements_.begin(), measurements_.end(), random);
      for (auto& one : measurements_) measure(report, one, round > 0);
    }
    require_flows();
  }

 private:
  void add(const char* workload, const char* name, Hook hook, Bytes frame,
           std::optional<int> flows = {}) {
    Measurement one{.hook = hook, .frame = std::move(frame)};
    one.row.workload = workload;
    one.row.case_name = name;
    one.row.flows = flows;
    if (flows.value_or(1) > 1) one.flows = static_cast<std::uint32_t>(*flows);
    measurements_.push_back(std::move(one));
  }

  void add_new(const char* name, const std::string& destination, std::optional<int> services) {
    add("tc-new-flow", name, Hook::Ingress, packet(client(0), destination, kSyn));
    auto& one = measurements_.back();
    one.row.heat = services ? "random" : "hot";
    one.row.services = services;
    one.packets = kNewFlows;
    one.flows = kNeverTheSame;
    one.next_flow = kFlows;
    one.services = static_cast<std::uint32_t>(services.value_or(0));
  }

  void add_new_of_scattered_clients(const char* name, const std::string& destination) {
    add_new(name, destination, {});
    auto& one = measurements_.back();
    one.frame = packet(kScatteredClient, destination, kSyn);
    one.are_clients_scattered = true;
  }

  void add_measurements() {
    const auto ssh = packet(client(0), "192.0.2.10:22", kAck);
    add("tc-no-service", "ingress", Hook::Ingress, ssh);
    add("tc-no-service", "egress", Hook::Egress, ssh);
    test::PacketView remote;
    for (int i = 0; i < kFlows; ++i) {
      const auto there = open(i, kNodePort, Hook::Ingress);
      if (i == 0) remote = there;
      open(i, kNear, Hook::Egress);
    }
    path_.flows().for_each([&](std::uint32_t id, const topolb_flow&) { established_.insert(id); });
    for (const int flows : {1, 100, 1000, kFlows}) {
      add("tc-established", "remote", Hook::Ingress, packet(client(0), kNodePort, kAck), flows);
      add("tc-established", "local", Hook::Ingress, packet(client(0), kNear, kAck), flows);
      add("tc-established", "local-reply", Hook::Egress, packet(kNearBackend, client(0), kAck),
          flows);
    }
    add("tc-established", "remote-reply", Hook::Ingress,
        packet(remote.destination, remote.source, kAck), 1);
    add_new("remote", kNodePort, {});
    add_new("local", kNear, {});
    add_new_of_scattered_clients("remote-scattered", kNodePort);
    add_new_of_scattered_clients("local-scattered", kNear);
    add_new("remote", service_address(0), kServices);
  }

  // From the client's first packet to the backend's first; how the backend sees the client's.
  test::PacketView open(int flow, const char* frontend, Hook reply) {
    const auto there = path_.run(Hook::Ingress, packet(client(flow), frontend, kSyn)).view();
    path_.run(reply, packet(there.destination, there.source, kSyn | kAck));
    path_.run(Hook::Ingress, packet(client(flow), frontend, kAck));
    ++opened_;
    return there;
  }

  // Beside the program that does nothing, with the same packets.
  void measure(Report& report, Measurement& one, bool counted) {
    const double nothing = time(one, bpf_program__fd(cost_->progs.nothing));
    const double topolb = time(one, path_.program(one.hook));
    if (one.flows == kNeverTheSame) {
      one.next_flow += static_cast<std::uint32_t>(one.packets);
      opened_ += static_cast<std::uint64_t>(one.packets);
      remove_new_flows();
    }
    if (!counted) return;
    for (const auto& [config, ns] : {std::pair("noop", nothing), std::pair("topolb", topolb)}) {
      auto row = one.row;
      row.stat = "mean";
      row.unit = "ns";
      row.config = config;
      report.add(row, ns);
    }
  }

  double time(const Measurement& one, int program) {
    auto& variables = *cost_->bss;
    const bool reply = one.hook == Hook::Egress;
    std::memcpy(variables.headers, one.frame.data(), sizeof(variables.headers));
    variables.flows = one.flows;
    variables.next_flow = one.next_flow;
    variables.are_clients_scattered = one.are_clients_scattered ? 1 : 0;
    variables.client_address = kClientAddress;
    variables.client_address_offset = reply ? kDestination : kSource;
    variables.client_port_offset = reply ? kDestinationPort : kSourcePort;
    variables.services = one.services;
    variables.service_address_offset = kDestination;
    const std::uint32_t row = 0;
    if (bpf_map_update_elem(bpf_map__fd(cost_->maps.targets), &row, &program, BPF_ANY) != 0) {
      throw std::runtime_error("choose the program to run");
    }
    return test::PacketPath::time(bpf_program__fd(cost_->progs.restore), one.frame, one.packets);
  }

  // So that the table is as full each time.
  void remove_new_flows() {
    path_.flows().for_each([&](std::uint32_t id, const topolb_flow& flow) {
      if (!established_.contains(id)) path_.flows().remove(id, flow);
    });
  }

  // Otherwise something else was timed: a flow refused, a packet dropped.
  void require_flows() {
    const auto opened = path_.event(TOPOLB_EVENT_FLOW_OPENED);
    if (opened != opened_) {
      throw std::runtime_error(fmt::format("{} flows opened instead of {}", opened, opened_));
    }
    for (const auto event : {TOPOLB_EVENT_UNKNOWN_FLOW, TOPOLB_EVENT_FLOW_EVICTED,
                             TOPOLB_EVENT_FLOW_REFUSED, TOPOLB_EVENT_FLOW_WITHOUT_PORT}) {
      if (path_.event(event) != 0) throw std::runtime_error(fmt::format("event {}", event));
    }
  }

  int rounds_;
  test::PacketPath path_;
  tc_bench* cost_ = tc_bench__open();
  std::vector<Measurement> measurements_;
  std::uint64_t opened_ = 0;
  std::unordered_set<std::uint32_t> established_;
};

}  // namespace
}  // namespace topolb::bench

int main(int argc, char** argv) {
  const auto options = topolb::bench::parse_options(argc, argv, 30, 3);
  try {
    topolb::bench::Report report("packets");
    topolb::bench::Bench(options.rounds).run(report);
    report.print(options.json,
                 fmt::format(R"("rounds": {}, "operations": {}, "new_flows": {})", options.rounds,
                             topolb::bench::kPackets, topolb::bench::kNewFlows));
    return 0;
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "tc_bench: %s\n", failed.what());
    return 1;
  }
}
