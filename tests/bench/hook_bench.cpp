// SPDX-License-Identifier: Apache-2.0
// What the BPF programs of the socket hooks cost, as the kernel counts it, beside a program that
// does nothing. All kinds take turns within one run, in an order that changes. README.md: the rows.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "bench_node.h"
#include "bench_report.h"
#include "dataplane/socket_hooks.h"
#include "dependent_lines.h"
#include "empty_programs.h"
#include "hook_client.h"
#include "support/plans.h"
#include "support/sockets.h"

namespace topolb::bench {
namespace {

struct Counted {
  std::uint64_t runs = 0;
  std::uint64_t ns = 0;
};

Counted counted(int program) {
  bpf_prog_info info{};
  std::uint32_t length = sizeof(info);
  if (bpf_obj_get_info_by_fd(program, &info, &length) != 0)
    throw std::runtime_error("read a program's counters");
  return {info.run_cnt, info.run_time_ns};
}

UniqueFd program_of_link(const std::string& path) {
  const UniqueFd link(bpf_obj_get(path.c_str()));
  bpf_link_info info{};
  std::uint32_t length = sizeof(info);
  if (!link || bpf_obj_get_info_by_fd(link.get(), &info, &length) != 0) return {};
  return UniqueFd(bpf_prog_get_fd_by_id(info.prog_id));
}

using Programs = std::map<std::string, UniqueFd>;

Programs programs_of(const Node& node) {
  Programs programs;
  for (const auto& hook : dataplane::kSocketHooks) {
    programs[hook.name] = program_of_link(dataplane::link_path(node.pin_path(), hook.name));
  }
  return programs;
}

struct Kind {
  Report::Row row;  // without workload and stat
  Operation operation;
  const Programs* programs;
  std::unique_ptr<HookClient> client;
  std::uint32_t targets;
};

// ns per run of each program that ran, into the report.
void measure(Kind& kind, std::uint32_t count, Report& report, bool keep) {
  std::map<std::string, Counted> before;
  for (const auto& [name, program] : *kind.programs) before[name] = counted(program.get());
  kind.client->run(kind.operation, count);
  if (!keep) return;
  for (const auto& [name, program] : *kind.programs) {
    const auto after = counted(program.get());
    const auto runs = after.runs - before[name].runs;
    if (runs < count) continue;
    auto row = kind.row;
    row.workload = "bpf-" + name;
    row.stat = "mean";
    row.unit = "ns";
    report.add(row, static_cast<double>(after.ns - before[name].ns) / static_cast<double>(runs));
  }
}

std::vector<SocketAddress> addresses(const std::vector<std::string>& texts) {
  std::vector<SocketAddress> result;
  for (const auto& text : texts) result.push_back(test::socket_address(text));
  return result;
}

std::vector<std::string> frontends(int services) {
  std::vector<std::string> all;
  for (int i = 0; i < services; ++i) all.push_back(frontend(i));
  return all;
}

core::ServicePortPlan tiered(int tiers) {
  std::vector<test::TierSpec> specs;
  for (int i = 1; i < tiers; ++i) specs.push_back({fmt::format("key{}", i), {}});
  specs.push_back({"*", backends(0)});
  return test::service("tiers", frontend(0), Protocol::TCP, test::traffic(specs));
}

core::ServicePortPlan with_backends(int count) {
  std::vector<std::string> all;
  for (int i = 0; i < count; ++i) all.push_back(backend(i / kBackends, i % kBackends + 1));
  return test::service("big", frontend(0), Protocol::TCP, test::traffic({{"", all}}));
}

class Bench {
 public:
  Bench(bool quick, bool many) : quick_(quick), many_(many) {
    test::run("ip route add local 10.0.0.0/8 dev lo");
    test::run("ip route add local 198.18.0.0/15 dev lo");
    test::run("ip route add local 192.0.2.0/24 dev lo");
  }

  void run(int rounds, std::uint32_t count, Report& report) {
    make_kinds();
    std::mt19937 random(1);
    std::vector<std::size_t> order(kinds_.size());
    std::iota(order.begin(), order.end(), 0);
    for (int round = 0; round <= rounds; ++round) {
      std::shuffle(order.begin(), order.end(), random);
      for (const auto index : order) {
        auto& kind = kinds_[index];
        // To warm up: the first time that anybody touches a page of a map, a virtual machine may
        // stop for as long as a whole connect() takes.
        measure(kind, round > 0 ? count : std::max(count, kind.targets), report, round > 0);
      }
      if (many_) measure_memory(count, report, round > 0);
    }
  }

 private:
  // To hold a connect to a random Service against.
  void measure_memory(std::uint32_t count, Report& report, bool keep) {
    const double ns = memory_.time(count);
    Report::Row row{.workload = "three-lines", .stat = "mean", .config = "memory", .unit = "ns"};
    row.services = kMany;
    row.backends = kBackends;
    row.heat = "random";
    if (keep) report.add(row, ns);
  }

  const Programs& serve(const std::string& name, const std::vector<core::ServicePortPlan>& plan) {
    nodes_.push_back(std::make_unique<Node>(sandbox_, name));
    nodes_.back()->serve(plan);
    return programs_of_last_node();
  }

  const Programs& programs_of_last_node() {
    programs_.push_back(std::make_unique<Programs>(programs_of(*nodes_.back())));
    return *programs_.back();
  }

  void add(const Report::Row& row, Operation operation, const Programs& programs,
           const std::string& cgroup, const std::vector<std::string>& targets) {
    kinds_.push_back({row, operation, &programs,
                      std::make_unique<HookClient>(cgroup, addresses(targets)),
                      static_cast<std::uint32_t>(targets.size())});
  }

  void add_sizes(const std::string& name, int services) {
    const auto& programs = serve(name, bench::services(services));
    const auto& cgroup = nodes_.back()->cgroup();
    Report::Row row{.config = "topolb", .services = services, .backends = kBackends, .tiers = 1};
    row.heat = "hot";
    row.case_name = "tcp";
    add(row, Operation::TcpConnect, programs, cgroup, {frontend(0)});
    if (services > 1) {
      row.heat = "random";
      add(row, Operation::TcpConnect, programs, cgroup, frontends(services));
    }
    row.heat = "hot";
    row.case_name = "tcp-no-service";
    add(row, Operation::TcpConnect, programs, cgroup, {backend(0, 1)});
  }

  // Two thirds of them in maps made for just those, the rest when the maps have grown.
  void add_grown(int services) {
    const auto plan = bench::services(services);
    serve("grown", {plan.begin(), plan.begin() + services * 2 / 3});
    nodes_.back()->grow_to(plan);
    const auto& programs = programs_of_last_node();
    Report::Row row{.config = "topolb", .services = services, .backends = kBackends, .tiers = 1};
    row.case_name = "tcp-grown";
    row.heat = "hot";
    add(row, Operation::TcpConnect, programs, nodes_.back()->cgroup(), {frontend(0)});
    row.heat = "random";
    add(row, Operation::TcpConnect, programs, nodes_.back()->cgroup(), frontends(services));
  }

  void make_kinds() {
    nodes_.push_back(std::make_unique<Node>(sandbox_, "nothing"));
    const auto& cgroup = nodes_.back()->cgroup();
    nothing_ = std::make_unique<EmptyPrograms>(cgroup);
    const auto& nothing = nothing_->by_hook();
    add({.config = "noop", .case_name = "tcp"}, Operation::TcpConnect, nothing, cgroup,
        {backend(0, 1)});
    add({.config = "noop", .case_name = "udp"}, Operation::UdpConnect, nothing, cgroup,
        {backend(0, 1)});
    add({.config = "noop", .case_name = "udp-send"}, Operation::UdpSend, nothing, cgroup,
        {backend(0, 1)});
    add({.config = "noop", .case_name = "udp-send-new"}, Operation::UdpSendNew, nothing, cgroup,
        {backend(0, 1)});

    add_sizes("one", 1);
    if (!quick_) add_sizes("s1000", 1000);
    if (!quick_) add_sizes("s10000", 10'000);
    if (many_) add_sizes("s100000", kMany);
    add_grown(quick_ ? 1000 : 10'000);

    const auto& udp = serve("udp", bench::services(1, Protocol::UDP));
    const auto& udp_cgroup = nodes_.back()->cgroup();
    Report::Row row{
        .config = "topolb", .services = 1, .backends = kBackends, .tiers = 1, .heat = "hot"};
    row.case_name = "udp";
    add(row, Operation::UdpConnect, udp, udp_cgroup, {frontend(0)});
    row.case_name = "udp-send";
    add(row, Operation::UdpSend, udp, udp_cgroup, {frontend(0)});
    row.case_name = "udp-send-new";
    add(row, Operation::UdpSendNew, udp, udp_cgroup, {frontend(0)});
    row.case_name = "udp-send-no-service";
    add(row, Operation::UdpSend, udp, udp_cgroup, {backend(0, 1)});

    const auto& tiers = serve("tiers", {tiered(16)});
    add({.config = "topolb",
         .services = 1,
         .backends = kBackends,
         .tiers = 16,
         .heat = "hot",
         .case_name = "tcp"},
        Operation::TcpConnect, tiers, nodes_.back()->cgroup(), {frontend(0)});
    const auto& big = serve("big", {with_backends(5000)});
    add({.config = "topolb",
         .services = 1,
         .backends = 5000,
         .tiers = 1,
         .heat = "hot",
         .case_name = "tcp"},
        Operation::TcpConnect, big, nodes_.back()->cgroup(), {frontend(0)});
  }

  static constexpr int kMany = 100'000;

  test::Sandbox sandbox_;
  DependentLines memory_{kMany, kBackends};
  bool quick_;
  bool many_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<Programs>> programs_;
  std::unique_ptr<EmptyPrograms> nothing_;
  std::vector<Kind> kinds_;
};

}  // namespace
}  // namespace topolb::bench

int main(int argc, char** argv) {
  try {
    const auto options = topolb::bench::parse_options(argc, argv, 30, 3);
    const topolb::UniqueFd stats(bpf_enable_stats(BPF_STATS_RUN_TIME));
    if (!stats) throw std::runtime_error("the kernel does not count the run time of programs");
    topolb::bench::Report report("hooks");
    constexpr std::uint32_t kCount = 2000;
    topolb::bench::Bench(options.quick, !options.quick).run(options.rounds, kCount, report);
    report.print(options.json,
                 fmt::format(R"("rounds": {}, "operations": {})", options.rounds, kCount));
    return 0;
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "hook_bench: %s\n", failed.what());
    return 1;
  }
}
