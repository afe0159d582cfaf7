// SPDX-License-Identifier: Apache-2.0
#include "empty_programs.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>

#include <array>
#include <cerrno>
#include <stdexcept>

#include "dataplane/socket_hooks.h"
#include "dataplane/tc_attach.h"
#include "util/result.h"

namespace topolb::bench {
namespace {

constexpr std::int32_t kAllow = 1;  // of a cgroup's hook
constexpr std::int32_t kNext = -1;  // TC_ACT_UNSPEC: as if there was no program

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(errno_error(errno, what).message());
}

UniqueFd load(bpf_prog_type type, std::int32_t answer, bpf_attach_type attach_type = {}) {
  const std::array<bpf_insn, 2> program{
      {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = answer},
       {.code = BPF_JMP | BPF_EXIT}}};
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach_type);
  UniqueFd loaded(bpf_prog_load(type, "nothing", "GPL", program.data(), program.size(), &options));
  if (!loaded) fail("load a program that does nothing");
  return loaded;
}

}  // namespace

EmptyPrograms::EmptyPrograms(const std::string& cgroup, const std::map<std::string, int>& others) {
  const UniqueFd directory(::open(cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) fail("open cgroup " + cgroup);
  for (const auto& hook : dataplane::kSocketHooks) {
    const auto type = hook.attach_type == BPF_CGROUP_INET_SOCK_RELEASE
                          ? BPF_PROG_TYPE_CGROUP_SOCK
                          : BPF_PROG_TYPE_CGROUP_SOCK_ADDR;
    const auto other = others.find(hook.name);
    UniqueFd empty;
    if (other == others.end()) empty = load(type, kAllow, hook.attach_type);
    const int program = empty ? empty.get() : other->second;
    UniqueFd link(bpf_link_create(program, directory.get(), hook.attach_type, nullptr));
    if (!link) fail(fmt::format("attach a program to {}", hook.name));
    links_.push_back(std::move(link));
    if (empty) by_hook_[hook.name] = std::move(empty);
  }
}

void EmptyPrograms::attach_to_device(const std::string& name, const std::string& pin_path) {
  const dataplane::TcDevice device{::if_nametoindex(name.c_str()), name};
  if (device.index == 0) fail("find device " + name);
  for (const auto direction : {dataplane::TcDirection::Ingress, dataplane::TcDirection::Egress}) {
    const UniqueFd program = load(BPF_PROG_TYPE_SCHED_CLS, kNext);
    auto attached = dataplane::attach_tc(pin_path, device, direction, program.get());
    if (!attached) throw std::runtime_error(attached.error().message());
  }
}

}  // namespace topolb::bench
