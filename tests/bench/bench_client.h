// SPDX-License-Identifier: Apache-2.0
// Processes that connect, and the one that accepts: each on a CPU of its own choice, in a cgroup
// and network namespace given.
#pragma once

#include <netinet/in.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "util/ip.h"
#include "util/unique_fd.h"

namespace topolb::bench {

/// Moves this process to a cgroup.
void enter_cgroup(const std::string& path);
/// @pre an IPv4 address
sockaddr_in to_sockaddr(const SocketAddress& address);
/// Both ends of a stream.
std::pair<UniqueFd, UniqueFd> make_socket_pair();

/// Ends with the process that made it, at the latest.
class Child {
 public:
  /// Runs `body` in the child; what it throws goes to stderr and ends it.
  template <typename Body>
  explicit Child(const Body& body) : pid_(begin()) {
    if (pid_ == 0) run([](const void* context) { (*static_cast<const Body*>(context))(); }, &body);
  }
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

 private:
  static pid_t begin();
  [[noreturn]] static void run(void (*body)(const void*), const void* context);
  pid_t pid_;
};

/// Accepts and closes what comes to any address, on one port.
class Acceptor {
 public:
  Acceptor(int netns, int cpu, std::uint16_t port);

 private:
  UniqueFd listener_;
  Child child_;
};

struct ClientPlace {
  std::string cgroup;
  int netns = -1;
  int cpu = 0;
};

/// Connects to a random one of its targets, again and again, when it is told to.
class Client {
 public:
  /// IPv4 targets only.
  Client(const ClientPlace& place, const std::vector<SocketAddress>& targets);

  /// How long each connect() took, in ns. Throws when one failed, or getpeername() of the first
  /// one did not show what was dialled.
  std::vector<std::uint32_t> connect(std::uint32_t count);

 private:
  Client(const ClientPlace& place, const std::vector<SocketAddress>& targets,
         std::pair<UniqueFd, UniqueFd> orders);
  UniqueFd orders_;
  Child child_;
};

}  // namespace topolb::bench
