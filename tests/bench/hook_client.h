// SPDX-License-Identifier: Apache-2.0
// A process in a cgroup that makes socket calls when it is told to, in the network namespace of
// the process that made it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bench_client.h"

namespace topolb::bench {

enum class Operation : std::uint32_t {
  TcpConnect,  // socket(), connect() to a port that refuses, close()
  UdpConnect,  // socket(), connect(), close()
  UdpSend,     // sendto() on one unconnected socket
  UdpSendNew,  // socket(), sendto(), close()
};

/// IPv4 targets only; a random one each time.
class HookClient {
 public:
  HookClient(const std::string& cgroup, const std::vector<SocketAddress>& targets);
  /// Returns when `count` operations are done.
  void run(Operation operation, std::uint32_t count);

 private:
  HookClient(const std::string& cgroup, const std::vector<SocketAddress>& targets,
             std::pair<UniqueFd, UniqueFd> orders);
  UniqueFd orders_;
  Child child_;
};

}  // namespace topolb::bench
