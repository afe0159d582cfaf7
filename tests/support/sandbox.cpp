// SPDX-License-Identifier: Apache-2.0
#include "support/sandbox.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <stdexcept>

#include "dataplane/pins.h"

namespace topolb::test {
namespace {

void require(bool done, const std::string& what) {
  if (!done) throw std::runtime_error(errno_error(errno, what).message());
}

void enter_cgroup(const std::string& path) {
  std::ofstream procs(path + "/cgroup.procs");
  procs << ::getpid() << std::flush;
  require(procs.good(), "enter cgroup " + path);
}

}  // namespace

void run(const std::string& command) {
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  require(pipe != nullptr, command);
  std::string output;
  std::array<char, 256> chunk{};
  while (std::fgets(chunk.data(), chunk.size(), pipe) != nullptr) output += chunk.data();
  if (::pclose(pipe) != 0) throw std::runtime_error(command + ": " + output);
}

Sandbox::Sandbox() {
  static std::atomic<int> count{0};
  const auto name = fmt::format("topolb-test-{}-{}", ::getpid(), ++count);
  const auto root = dataplane::find_cgroup2();
  if (!root) throw std::runtime_error(root.error().message());
  cgroup_ = *root + "/" + name;
  pin_path_ = "/sys/fs/bpf/" + name;
  require(::mkdir(cgroup_.c_str(), 0755) == 0, "make cgroup " + cgroup_);
  enter_cgroup(cgroup_);
  original_netns_ = UniqueFd(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  require(::unshare(CLONE_NEWNET) == 0, "make a network namespace");
  run("ip link set lo up");
}

Sandbox::~Sandbox() {
  // What can't be undone here is left for a person to see; a destructor must not throw.
  (void)::setns(original_netns_.get(), CLONE_NEWNET);
  (void)dataplane::remove_pins(pin_path_);
  try {
    enter_cgroup(*dataplane::find_cgroup2());
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "%s\n", failed.what());
  }
  if (::rmdir(cgroup_.c_str()) != 0) std::perror(cgroup_.c_str());
}

void Sandbox::add_address(const std::string& address) {
  const bool ipv6 = address.find(':') != std::string::npos;
  run(fmt::format("ip {} address add {}/{} dev lo {}", ipv6 ? "-6" : "-4", address, ipv6 ? 128 : 32,
                  ipv6 ? "nodad" : ""));
}

void Sandbox::add_node_address(const std::string& address) {
  const bool ipv6 = address.find(':') != std::string::npos;
  run("ip link show eth0 >/dev/null 2>&1 || ip link add eth0 type veth peer name peer0");
  run("ip link set eth0 up && ip link set peer0 up");
  run(fmt::format("ip {} address add {}/{} dev eth0 {}", ipv6 ? "-6" : "-4", address,
                  ipv6 ? 64 : 24, ipv6 ? "nodad" : ""));
}

dataplane::DatapathOptions Sandbox::options() const {
  return {.pin_path = pin_path_, .cgroup_path = cgroup_, .node_name = "n1", .limits = {}};
}

}  // namespace topolb::test
