// SPDX-License-Identifier: Apache-2.0
#include "bench_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <random>
#include <stdexcept>
#include <thread>

#include "util/result.h"

namespace topolb::bench {
namespace {

void require(bool done, const std::string& what) {
  if (!done) throw std::runtime_error(errno_error(errno, what).message());
}

void pin_to(int cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  require(::sched_setaffinity(0, sizeof(cpus), &cpus) == 0, "stay on a CPU");
}

void enter(const ClientPlace& place) {
  enter_cgroup(place.cgroup);
  require(::setns(place.netns, CLONE_NEWNET) == 0, "enter a network namespace");
  pin_to(place.cpu);
}

std::uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

bool shows(int socket, const sockaddr_in& dialled) {
  sockaddr_in peer{};
  socklen_t length = sizeof(peer);
  return ::getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &length) == 0 &&
         peer.sin_addr.s_addr == dialled.sin_addr.s_addr && peer.sin_port == dialled.sin_port;
}

// In ns. The socket is reset at the end: no port waits for its time.
std::uint32_t connect_once(const sockaddr_in& target, bool check_peer) {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const linger reset{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  const auto before = now_ns();
  const int failed =
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&target), sizeof(target));
  const auto after = now_ns();
  require(failed == 0, "connect");
  if (check_peer && !shows(socket.get(), target)) {
    throw std::runtime_error("getpeername() does not show what was dialled");
  }
  return static_cast<std::uint32_t>(after - before);
}

void serve(int orders, const std::vector<SocketAddress>& targets) {
  std::vector<sockaddr_in> addresses;
  for (const auto& target : targets) addresses.push_back(to_sockaddr(target));
  std::minstd_rand random(1);
  std::uint32_t count = 0;
  while (::recv(orders, &count, sizeof(count), MSG_WAITALL) == sizeof(count)) {
    std::vector<std::uint32_t> latencies_ns;
    latencies_ns.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) {
      latencies_ns.push_back(connect_once(addresses[random() % addresses.size()], i == 0));
    }
    const auto bytes = count * sizeof(std::uint32_t);
    require(::write(orders, latencies_ns.data(), bytes) == static_cast<ssize_t>(bytes), "report");
  }
}

UniqueFd listen_in(int netns, std::uint16_t port) {
  const UniqueFd here(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  require(here && ::setns(netns, CLONE_NEWNET) == 0, "enter the server's network namespace");
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_in any{.sin_family = AF_INET, .sin_port = htons(port)};
  constexpr int kBacklog = 4096;
  const bool listening =
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&any), sizeof(any)) == 0 &&
      ::listen(socket.get(), kBacklog) == 0;
  require(::setns(here.get(), CLONE_NEWNET) == 0, "come back from the server's namespace");
  require(listening, "listen");
  return socket;
}

}  // namespace

void enter_cgroup(const std::string& path) {
  std::ofstream procs(path + "/cgroup.procs");
  procs << ::getpid() << std::flush;
  require(procs.good(), "enter cgroup " + path);
}

sockaddr_in to_sockaddr(const SocketAddress& address) {
  sockaddr_in result{.sin_family = AF_INET, .sin_port = htons(address.port)};
  std::memcpy(&result.sin_addr, address.address.bytes().data() + 12, 4);
  return result;
}

std::pair<UniqueFd, UniqueFd> make_socket_pair() {
  std::array<int, 2> ends{};
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0, "socketpair");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

pid_t Child::begin() {
  const pid_t pid = ::fork();
  require(pid >= 0, "fork");
  if (pid == 0) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  return pid;
}

void Child::run(void (*body)(const void*), const void* context) {
  try {
    body(context);
    ::_exit(0);
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "a benchmark's process: %s\n", failed.what());
    ::_exit(1);
  }
}

Child::~Child() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

Acceptor::Acceptor(int netns, int cpu, std::uint16_t port)
    : listener_(listen_in(netns, port)), child_([&] {
        pin_to(cpu);
        while (true) {
          const UniqueFd accepted(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
          // Asleep, but not in accept(): waking it would be part of each connect().
          if (!accepted) std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
      }) {}

Client::Client(const ClientPlace& place, const std::vector<SocketAddress>& targets)
    : Client(place, targets, make_socket_pair()) {}

Client::Client(const ClientPlace& place, const std::vector<SocketAddress>& targets,
               std::pair<UniqueFd, UniqueFd> orders)
    : orders_(std::move(orders.first)), child_([&] {
        orders_ = UniqueFd();
        enter(place);
        serve(orders.second.get(), targets);
      }) {}

std::vector<std::uint32_t> Client::connect(std::uint32_t count) {
  require(::write(orders_.get(), &count, sizeof(count)) == sizeof(count), "order connections");
  std::vector<std::uint32_t> latencies_ns(count);
  const auto bytes = count * sizeof(std::uint32_t);
  const auto got = ::recv(orders_.get(), latencies_ns.data(), bytes, MSG_WAITALL);
  if (got != static_cast<ssize_t>(bytes)) throw std::runtime_error("a client has ended");
  return latencies_ns;
}

}  // namespace topolb::bench
