// SPDX-License-Identifier: Apache-2.0
#include "peer_client.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#include "util/unique_fd.h"

namespace topolb::demo {
namespace {

using std::chrono::steady_clock;

constexpr timeval kPatience{.tv_sec = 1, .tv_usec = 0};
constexpr auto kChangeLimit = std::chrono::seconds(5);
// As quick as is useful, and the agents get their share of the processors.
constexpr auto kPause = std::chrono::microseconds(200);
constexpr timespec kStormPause{.tv_sec = 0, .tv_nsec = 500'000};
constexpr unsigned kWarmUp = 20;
// With six backends, one that was gone would show among these all but surely.
constexpr unsigned kProof = 100;

Answer words_of(int errno_value) {
  switch (errno_value) {
    case ECONNREFUSED:
      return "refused";
    case EHOSTUNREACH:
      return "unreachable";
    case EAGAIN:
    case EINPROGRESS:
    case ETIMEDOUT:
      return "timeout";
    default:
      return std::generic_category().message(errno_value);
  }
}

bool same(const sockaddr_in& one, const sockaddr_in& other) {
  return one.sin_addr.s_addr == other.sin_addr.s_addr && one.sin_port == other.sin_port;
}

const sockaddr* plain(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

Answer ask_tcp(int socket, const sockaddr_in& service) {
  if (::connect(socket, plain(service), sizeof(service)) != 0) return words_of(errno);
  sockaddr_in peer{};
  socklen_t size = sizeof(peer);
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return words_of(errno);
  if (!same(peer, service)) return "wrong-peer";
  Answer answer;
  std::array<char, 64> chunk{};
  ssize_t got = 0;
  while ((got = ::recv(socket, chunk.data(), chunk.size(), 0)) > 0) {
    answer.append(chunk.data(), static_cast<std::size_t>(got));
  }
  if (got < 0) return words_of(errno);
  return answer.empty() ? "no answer" : answer;
}

Answer ask_udp(int socket, const sockaddr_in& service) {
  if (::sendto(socket, "?", 1, 0, plain(service), sizeof(service)) < 0) return words_of(errno);
  std::array<char, 64> answer{};
  sockaddr_in peer{};
  socklen_t size = sizeof(peer);
  const ssize_t got = ::recvfrom(socket, answer.data(), answer.size(), 0,
                                 reinterpret_cast<sockaddr*>(&peer), &size);
  if (got < 0) return words_of(errno);
  if (!same(peer, service)) return "wrong-peer";
  return {answer.data(), static_cast<std::size_t>(got)};
}

}  // namespace

Answer ask(const sockaddr_in& service, Protocol protocol) {
  const bool tcp = protocol == Protocol::Tcp;
  const UniqueFd socket(::socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0));
  if (!socket) return words_of(errno);
  for (const int option : {SO_SNDTIMEO, SO_RCVTIMEO}) {
    (void)::setsockopt(socket.get(), SOL_SOCKET, option, &kPatience, sizeof(kPatience));
  }
  return tcp ? ask_tcp(socket.get(), service) : ask_udp(socket.get(), service);
}

Counts ask_often(const sockaddr_in& service, Protocol protocol, unsigned count) {
  Counts counts;
  for (unsigned i = 0; i < count; ++i) ++counts[ask(service, protocol)];
  return counts;
}

Counts ask_until_terminated(const sockaddr_in& service) {
  sigset_t terminated;
  ::sigemptyset(&terminated);
  ::sigaddset(&terminated, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &terminated, nullptr);
  Counts counts;
  do {
    ++counts[ask(service, Protocol::Tcp)];
  } while (::sigtimedwait(&terminated, nullptr, &kStormPause) < 0);
  return counts;
}

Result<ChangeSeen> see_change(const sockaddr_in& service, const Change& change) {
  ChangeSeen seen;
  if (change.rename) {
    for (unsigned i = 0; i < kWarmUp; ++i) {
      auto answer = ask(service, Protocol::Tcp);
      if (!change.before.contains(answer)) ++seen.stray[std::move(answer)];
    }
  }
  const auto start = steady_clock::now();
  if (change.rename && std::rename(change.rename->from.c_str(), change.rename->to.c_str()) != 0) {
    return errno_error(errno, "rename " + change.rename->from);
  }
  bool shown = false;  // an answer that only the new set can give
  for (unsigned in_a_row = 0; in_a_row < kProof;) {
    const auto answer = ask(service, Protocol::Tcp);
    const auto now = steady_clock::now();
    ++seen.connections;
    const bool old = change.before.contains(answer);
    if (change.after.contains(answer)) {
      if (in_a_row++ == 0) {
        seen.milliseconds = std::chrono::duration<double, std::milli>(now - start).count();
      }
      shown = shown || !old;
    } else {
      in_a_row = 0;
      if (!old || shown) ++seen.stray[answer];
    }
    if (in_a_row == 0 && now - start > kChangeLimit) {
      return make_error("still " + answer + " after " + std::to_string(kChangeLimit.count()) +
                        " s");
    }
    std::this_thread::sleep_for(kPause);
  }
  return seen;
}

}  // namespace topolb::demo
