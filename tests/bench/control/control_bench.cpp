// SPDX-License-Identifier: Apache-2.0
// What the agent's control plane costs: the first state, and what changes later. Each case is a
// process of its own, fed by this one, so that memory and CPU time are the agent's alone. The rows
// and arguments are those of tests/bench/README.md.
#include <fmt/format.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "../bench_report.h"
#include "manifest_writer.h"
#include "measured_agent.h"
#include "object_server.h"
#include "usage.h"

namespace topolb::bench {
namespace {

constexpr std::uint32_t kEndpointChanges = 1000;
constexpr std::uint32_t kRelabels = 10;
constexpr std::uint32_t kSteadySeconds = 10;

/// A state, where it comes from, and what happens to it then.
struct Case {
  std::string name;    // the field "case"
  std::string source;  // "stream", "json-stream", "pages", "json", "yaml"
  ClusterSize size;
  std::vector<std::string> workloads;  // after the cold start, in this order
};

std::vector<Case> cases(bool quick) {
  ClusterSize small{.services = 10'000, .endpoints_per_service = 10, .nodes = 1000};
  ClusterSize large{.services = 5006, .endpoints_per_service = 50, .nodes = 5000, .zones = 5};
  if (quick) {
    small = {.services = 1000, .endpoints_per_service = 10, .nodes = 100};
    large = {.services = 500, .endpoints_per_service = 50, .nodes = 500, .zones = 5};
  }
  ClusterSize small_keyed = small;
  small_keyed.keyed = true;
  ClusterSize large_keyed = large;
  large_keyed.keyed = true;
  ClusterSize one_large = small;
  one_large.endpoints_of_first = quick ? 500 : 5000;
  std::vector<Case> all{
      {"streamed", "stream", small, {"endpoint-change"}},
      {"streamed-json", "json-stream", small, {"endpoint-change"}},
      {"paged", "pages", small, {}},
      {"json-files", "json", small, {}},
      {"yaml-files", "yaml", small, {}},
      {"keyed", "stream", small_keyed, {"endpoint-change", "own-node-label"}},
      {"large-service", "stream", one_large, {"rolling-restart"}},
      {"streamed", "stream", large, {"endpoint-change"}},
      {"streamed-json", "json-stream", large, {"endpoint-change"}},
      {"paged", "pages", large, {}},
      {"keyed", "stream", large_keyed, {"endpoint-change", "own-node-label", "zone-drained"}}};
  if (quick) return all;  // it takes its time
  ClusterSize busy{.services = 10'000, .endpoints_per_service = 25, .nodes = 5000, .zones = 5};
  all.push_back({"busy", "stream", busy, {"steady-changes"}});
  all.push_back({"busy-json", "json-stream", busy, {"steady-changes"}});
  busy.keyed = true;
  all.push_back({"busy-keyed", "stream", busy, {"steady-changes"}});
  return all;
}

// ---- in the measured process ----

void print(const std::string& workload, const std::string& stat, double value,
           const std::string& unit) {
  fmt::print("{} {} {} {}\n", workload, stat, value, unit);
}

void print(const std::string& workload, const Usage& usage, double operations) {
  print(workload, "cpu", usage.cpu_ms / operations, "ms");
  print(workload, "wall", usage.wall_ms / operations, "ms");
  if (usage.instructions_m > 0) {
    print(workload, "instructions", usage.instructions_m * 1e6 / operations, "instructions");
  }
}

void print(const std::string& workload, const Memory& memory) {
  print(workload, "rss", memory.resident * 1e6, "bytes");
  print(workload, "heap", memory.anonymous * 1e6, "bytes");
  print(workload, "peak-rss", memory.peak * 1e6, "bytes");
}

/// Of all maps that this process has open, as the kernel charges for them.
std::uint64_t map_bytes() {
  std::set<std::uint64_t> seen;  // a map may be open twice
  std::uint64_t sum = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
    std::ifstream facts(entry.path());
    std::string name;
    std::uint64_t id = 0;
    std::uint64_t bytes = 0;
    while (facts >> name) {
      if (name == "memlock:") facts >> bytes;
      if (name == "map_id:" && facts >> id && seen.insert(id).second) sum += bytes;
      std::getline(facts, name);
    }
  }
  return sum;
}

void measure_start(MeasuredAgent& agent) {
  const Usage before = Usage::now();
  agent.start();
  const Usage used = Usage::now() - before;
  agent.add_device();
  agent.settle();
  print("cold-start", used, 1);
  print("cold-start", Memory::now());
  print("cold-start", "api-bytes", static_cast<double>(agent.bytes_received()), "bytes");
  print("cold-start", "map-bytes", static_cast<double>(map_bytes()), "bytes");
  print("cold-start", "backends", agent.backends(), "count");
}

/// One after the other: `operations` times the same command, from before the event is sent until
/// it is in the kernel.
void measure_single(MeasuredAgent& agent, Scenario& scenario, const std::string& workload,
                    const std::string& command, std::uint32_t operations) {
  std::vector<double> latencies_us;
  const Usage before = Usage::now();
  for (std::uint32_t i = 0; i < operations; ++i) {
    scenario.begin(fmt::format("{} {}", command, i));
    agent.apply_next();
    const double applied_us = Usage::now().wall_ms * 1e3;
    latencies_us.push_back(applied_us - std::stod(scenario.result()) / 1e3);
  }
  print(workload, Usage::now() - before, operations);
  std::sort(latencies_us.begin(), latencies_us.end());
  print(workload, "p50", latencies_us[latencies_us.size() / 2], "us");
  print(workload, "p99", latencies_us[latencies_us.size() * 99 / 100], "us");
}

/// As fast as it comes and the agent takes it.
void measure_burst(MeasuredAgent& agent, Scenario& scenario, const std::string& workload,
                   const std::string& command) {
  const std::uint64_t bytes_before = agent.bytes_received();
  const Usage before = Usage::now();
  scenario.begin(command);
  agent.apply_until_marker();
  print(workload, Usage::now() - before, 1);
  print(workload, "events", std::stod(scenario.result()), "count");
  print(workload, "api-bytes", static_cast<double>(agent.bytes_received() - bytes_before), "bytes");
  agent.settle();
  print(workload, Memory::now());
}

void wait_for_watches(Scenario& scenario) {
  do {
    ::usleep(10'000);
    scenario.begin("watches");
  } while (scenario.result() != "3");
}

int run_case(const std::string& socket_path, const std::string& manifests,
             const std::vector<std::string>& workloads) {
  (void)Usage::now();  // the counter of instructions, before there are threads
  // What it would write to its log, as it would write it, to nobody.
  spdlog::set_default_logger(spdlog::basic_logger_st("topolbd", "/dev/null"));
  spdlog::flush_on(spdlog::level::info);
  MeasuredAgent agent(socket_path, manifests);
  measure_start(agent);
  if (workloads.empty()) return 0;
  Scenario scenario(socket_path);
  wait_for_watches(scenario);
  for (const std::string& workload : workloads) {
    if (workload == "endpoint-change") {
      measure_single(agent, scenario, workload, "change", kEndpointChanges);
    } else if (workload == "own-node-label") {
      measure_single(agent, scenario, workload, "relabel", kRelabels);
    } else if (workload == "steady-changes") {
      measure_burst(agent, scenario, workload, fmt::format("steady {}", kSteadySeconds));
    } else {
      measure_burst(agent, scenario, workload, workload == "zone-drained" ? "drain" : "restart");
    }
  }
  return 0;
}

// ---- in the process that feeds it ----

/// A directory of its own, gone at the end.
class ScratchDirectory {
 public:
  ScratchDirectory() : path_(fmt::format("/tmp/topolb-control-bench-{}", ::getpid())) {
    std::filesystem::create_directory(path_);
  }
  ~ScratchDirectory() { std::filesystem::remove_all(path_); }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Standard output of this program, run with other arguments.
std::string output_of_child(const std::vector<std::string>& arguments) {
  std::string command = "/proc/self/exe";
  std::array<int, 2> pipe{};
  if (::pipe(pipe.data()) != 0) throw std::runtime_error("no pipe");
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(pipe[1], STDOUT_FILENO);
    ::close(pipe[0]);
    ::close(pipe[1]);
    std::vector<char*> argv{command.data()};
    for (const std::string& argument : arguments)
      argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    ::execv(command.c_str(), argv.data());
    ::_exit(127);
  }
  ::close(pipe[1]);
  std::string output;
  std::array<char, 4096> chunk{};
  ssize_t count = 0;
  while ((count = ::read(pipe[0], chunk.data(), chunk.size())) > 0) {
    output.append(chunk.data(), static_cast<std::size_t>(count));
  }
  ::close(pipe[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (status != 0) throw std::runtime_error("a measured process failed");
  return output;
}

struct Row {
  std::string name;  // its fields, as JSON
  std::string unit;
  std::vector<double> samples;
};

class Table {
 public:
  /// `line`: "WORKLOAD STAT VALUE UNIT".
  void add(const Case& one, const std::string& line) {
    std::istringstream words(line);
    std::string workload;
    std::string stat;
    std::string unit;
    double value = 0;
    words >> workload >> stat >> value >> unit;
    const std::string name = fmt::format(
        R"("workload": "{}", "stat": "{}", "config": "topolb", "case": "{}", "services": {}, )"
        R"("backends": {}, "nodes": {})",
        workload, stat, one.name, one.size.services, one.size.endpoints_per_service,
        one.size.nodes);
    const auto found =
        std::find_if(rows_.begin(), rows_.end(), [&](const Row& row) { return row.name == name; });
    if (found != rows_.end()) return found->samples.push_back(value);
    rows_.push_back({name, unit, {value}});
    headings_.push_back(fmt::format("{:<16} {:<14} {:>6} x {:<3} {:<9}", workload, one.name,
                                    one.size.services, one.size.endpoints_per_service, stat));
  }

  void print_json(int rounds) const {
    fmt::print("{{\"suite\": \"control\", \"run\": {{\"rounds\": {}}}}}\n", rounds);
    for (const Row& row : rows_) {
      fmt::print("{{\"suite\": \"control\", {}, \"unit\": \"{}\", \"samples\": [{}]}}\n", row.name,
                 row.unit, fmt::join(row.samples, ", "));
    }
  }

  void print_for_people() const {
    fmt::print("{:<61} {:>10} {:>10} {:>10}\n", "", "min", "median", "max");
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      std::vector<double> sorted = rows_[i].samples;
      std::sort(sorted.begin(), sorted.end());
      const bool bytes = rows_[i].unit == "bytes";
      const double scale = bytes ? 1e6 : 1;
      fmt::print("{:<50} {:>6} {:>10.3f} {:>10.3f} {:>10.3f}\n", headings_[i],
                 bytes ? "MB" : rows_[i].unit, sorted.front() / scale,
                 sorted[sorted.size() / 2] / scale, sorted.back() / scale);
    }
  }

 private:
  std::vector<Row> rows_;
  std::vector<std::string> headings_;
};

void run_one(const Case& one, Table& table) {
  const ScratchDirectory scratch;
  const std::string socket = scratch.path() + "/socket";
  const std::string manifests = scratch.path() + "/manifests";
  const bool files = one.source == "json" || one.source == "yaml";
  if (files) write_manifests(one.size, one.source == "yaml", manifests);
  const ObjectServer server(
      one.size, {.streams = one.source != "pages", .protobuf = one.source != "json-stream"},
      socket);
  std::vector<std::string> arguments{"--child", socket, files ? manifests : ""};
  arguments.insert(arguments.end(), one.workloads.begin(), one.workloads.end());
  const std::string output = output_of_child(arguments);
  if (output.find(fmt::format("cold-start backends {} ", one.size.endpoints())) ==
      std::string::npos) {
    throw std::runtime_error("not every backend came to the kernel in case " + one.name);
  }
  for (std::size_t at = 0; at < output.size();) {
    const std::size_t end = output.find('\n', at);
    table.add(one, output.substr(at, end - at));
    at = end + 1;
  }
}

int run(int argc, char** argv) {
  std::string only;
  std::vector<char*> others;
  for (int i = 0; i < argc; ++i) {
    if (std::string(argv[i]) == "--case" && i + 1 < argc) {
      only = argv[++i];
    } else {
      others.push_back(argv[i]);
    }
  }
  const Options options = parse_options(static_cast<int>(others.size()), others.data(), 3, 1);
  std::vector<Case> wanted = cases(options.quick);
  if (!only.empty()) std::erase_if(wanted, [&](const Case& one) { return one.name != only; });
  if (wanted.empty()) throw std::runtime_error("no case " + only);
  Table table;
  for (int round = 0; round < options.rounds; ++round) {
    for (const Case& one : wanted) run_one(one, table);
  }
  options.json ? table.print_json(options.rounds) : table.print_for_people();
  return 0;
}

}  // namespace
}  // namespace topolb::bench

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  try {
    if (arguments.size() >= 3 && arguments[0] == "--child") {
      return topolb::bench::run_case(arguments[1], arguments[2],
                                     {arguments.begin() + 3, arguments.end()});
    }
    return topolb::bench::run(argc, argv);
  } catch (const std::exception& failed) {
    fmt::print(stderr, "control_bench: {}\n", failed.what());
    return 1;
  }
}
