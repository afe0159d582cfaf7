// SPDX-License-Identifier: Apache-2.0
// The cgroup hooks that topolb attaches, in the order in which they are attached.
#pragma once

#include <linux/bpf.h>

#include <array>
#include <string>

namespace topolb::dataplane {

struct SocketHook {
  const char* name;     // of the pinned link
  const char* program;  // in the BPF object
  bpf_attach_type attach_type;
};

// What shows a frontend, and what gives a closed socket's row back, is attached before what chooses
// backends: from the first translated connection on, getpeername() and recvfrom() are right.
inline constexpr std::array<SocketHook, 11> kSocketHooks{{
    {"getpeername4", "topolb_getpeername4", BPF_CGROUP_INET4_GETPEERNAME},
    {"getpeername6", "topolb_getpeername6", BPF_CGROUP_INET6_GETPEERNAME},
    {"recvmsg4", "topolb_recvmsg4", BPF_CGROUP_UDP4_RECVMSG},
    {"recvmsg6", "topolb_recvmsg6", BPF_CGROUP_UDP6_RECVMSG},
    {"sock_release", "topolb_sock_release", BPF_CGROUP_INET_SOCK_RELEASE},
    {"connect4", "topolb_connect4", BPF_CGROUP_INET4_CONNECT},
    {"connect6", "topolb_connect6", BPF_CGROUP_INET6_CONNECT},
    {"sendmsg4", "topolb_sendmsg4", BPF_CGROUP_UDP4_SENDMSG},
    {"sendmsg6", "topolb_sendmsg6", BPF_CGROUP_UDP6_SENDMSG},
    {"bind4", "topolb_bind4", BPF_CGROUP_INET4_BIND},
    {"bind6", "topolb_bind6", BPF_CGROUP_INET6_BIND},
}};

inline std::string link_path(const std::string& pin_path, const std::string& hook) {
  return pin_path + "/links/" + hook;
}

}  // namespace topolb::dataplane
