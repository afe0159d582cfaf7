// SPDX-License-Identifier: Apache-2.0
#include "empty_programs.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>

#include <array>
#include <stdexcept>

#include "dataplane/socket_hooks.h"
#include "dataplane/tc_attach.h"

namespace topolb::bench {
namespace {

constexpr std::int32_t kAllow = 1;  // of a cgroup's hook
constexpr std::int32_t kNext = -1;  // TCX_NEXT: as if there was no program

UniqueFd load(bpf_prog_type type, bpf_attach_type attach_type, std::int32_t answer) {
  const std::array<bpf_insn, 2> program{
      {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = answer},
       {.code = BPF_JMP | BPF_EXIT}}};
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach_type);
  UniqueFd loaded(bpf_prog_load(type, "nothing", "GPL", program.data(), program.size(), &options));
  if (!loaded) throw std::runtime_error("load a program that does nothing");
  return loaded;
}

UniqueFd attach(const UniqueFd& program, int where, bpf_attach_type attach_type) {
  UniqueFd link(bpf_link_create(program.get(), where, attach_type, nullptr));
  if (!link) throw std::runtime_error("attach a program that does nothing");
  return link;
}

}  // namespace

EmptyPrograms::EmptyPrograms(const std::string& cgroup) {
  const UniqueFd directory(::open(cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (const auto& hook : dataplane::kSocketHooks) {
    const auto type = hook.attach_type == BPF_CGROUP_INET_SOCK_RELEASE
                          ? BPF_PROG_TYPE_CGROUP_SOCK
                          : BPF_PROG_TYPE_CGROUP_SOCK_ADDR;
    UniqueFd program = load(type, hook.attach_type, kAllow);
    links_.push_back(attach(program, directory.get(), hook.attach_type));
    by_hook_[hook.name] = std::move(program);
  }
}

void EmptyPrograms::attach_to_device(const std::string& name) {
  const auto index = ::if_nametoindex(name.c_str());
  if (index == 0) throw std::runtime_error(fmt::format("there is no device {}", name));
  for (const auto direction : {dataplane::TcDirection::Ingress, dataplane::TcDirection::Egress}) {
    const auto attach_type = dataplane::tcx_attach_type(direction);
    const UniqueFd program = load(BPF_PROG_TYPE_SCHED_CLS, attach_type, kNext);
    links_.push_back(attach(program, static_cast<int>(index), attach_type));
  }
}

}  // namespace topolb::bench
