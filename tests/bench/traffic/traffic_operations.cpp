// SPDX-License-Identifier: Apache-2.0
#include "traffic_operations.h"

#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <stdexcept>
#include <string>
#include <vector>

#include "util/result.h"
#include "util/unique_fd.h"

namespace topolb::bench {
namespace {

constexpr std::size_t kBulkBytes = 1 << 20;
using Message = std::array<char, kMessageBytes>;

void require(bool done, const char* what) {
  if (!done) throw std::runtime_error(errno_error(errno, what).message());
}

std::uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

const sockaddr* generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

UniqueFd open_socket(int type) {
  UniqueFd socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  require(static_cast<bool>(socket), "socket");
  return socket;
}

// Reset at its end: no port waits for its time.
UniqueFd open_stream() {
  UniqueFd socket = open_socket(SOCK_STREAM);
  const linger reset{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  return socket;
}

void dial(int socket, const sockaddr_in& target) {
  require(::connect(socket, generic(target), sizeof(target)) == 0, "connect");
}

void require_peer(const sockaddr_in& peer, const sockaddr_in& target) {
  if (peer.sin_addr.s_addr != target.sin_addr.s_addr || peer.sin_port != target.sin_port) {
    throw std::runtime_error("the socket does not show what was dialled");
  }
}

void require_peer_of(int socket, const sockaddr_in& target) {
  sockaddr_in peer{};
  socklen_t length = sizeof(peer);
  require(::getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &length) == 0, "getpeername");
  require_peer(peer, target);
}

// What was sent is there already, but for a kernel that puts its work off.
template <typename Receive>
auto await(const Receive& receive, const char* what) {
  constexpr std::uint64_t kPatienceNs = 2'000'000'000;
  auto got = receive();
  if (got < 0) {
    const auto end = now_ns() + kPatienceNs;
    while (got < 0 && errno == EAGAIN && now_ns() < end) {
      ::sched_yield();
      got = receive();
    }
  }
  require(got >= 0, what);
  return got;
}

UniqueFd accept_one(int listener) {
  return UniqueFd(await([&] { return ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC); },
                        "wait for a connection"));
}

// Of other clients too, which don't mind.
void close_waiting(int listener) {
  while (UniqueFd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC))) {
  }
}

void send_message(int socket) {
  const Message message{};
  require(::send(socket, message.data(), message.size(), MSG_NOSIGNAL) == kMessageBytes, "send");
}

void receive_message(int socket) {
  Message message{};
  await([&] { return ::recv(socket, message.data(), message.size(), MSG_DONTWAIT); },
        "wait for a message");
}

void exchange(int client, int server) {
  send_message(client);
  receive_message(server);
  send_message(server);
  receive_message(client);
}

void send_to(int socket, const sockaddr_in& target) {
  const Message message{};
  const auto sent =
      ::sendto(socket, message.data(), message.size(), 0, generic(target), sizeof(target));
  require(sent == kMessageBytes, "sendto");
}

// From the address that it came to.
void answer_datagram(int server) {
  Message message{};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in_pktinfo))> control{};
  sockaddr_in peer{};
  iovec part{.iov_base = message.data(), .iov_len = message.size()};
  msghdr header{.msg_name = &peer,
                .msg_namelen = sizeof(peer),
                .msg_iov = &part,
                .msg_iovlen = 1,
                .msg_control = control.data(),
                .msg_controllen = control.size()};
  await([&] { return ::recvmsg(server, &header, MSG_DONTWAIT); }, "wait for a datagram");
  if (cmsghdr* info = CMSG_FIRSTHDR(&header); info != nullptr) {
    reinterpret_cast<in_pktinfo*>(CMSG_DATA(info))->ipi_ifindex = 0;
  }
  require(::sendmsg(server, &header, 0) >= 0, "answer a datagram");
}

void exchange_datagrams(int client, int server, const sockaddr_in& target, bool check) {
  send_to(client, target);
  answer_datagram(server);
  Message message{};
  sockaddr_in peer{};
  socklen_t length = sizeof(peer);
  await(
      [&] {
        return ::recvfrom(client, message.data(), message.size(), MSG_DONTWAIT,
                          reinterpret_cast<sockaddr*>(&peer), &length);
      },
      "wait for a reply");
  if (check) require_peer(peer, target);
}

void discard_datagrams(int server) {
  char byte = 0;
  while (::recv(server, &byte, 1, MSG_DONTWAIT) >= 0) {
  }
}

class WithServer : public Operation {
 public:
  explicit WithServer(const ServerSockets& server) : server_(server) {}

 protected:
  ServerSockets server_;
};

class Connect final : public WithServer {
 public:
  using WithServer::WithServer;
  std::uint64_t once(const sockaddr_in& target, bool check) override {
    const UniqueFd socket = open_stream();
    const auto before = now_ns();
    dial(socket.get(), target);
    const auto after = now_ns();
    if (check) require_peer_of(socket.get(), target);
    close_waiting(server_.listener);
    return after - before;
  }
};

class ConnectSendClose final : public WithServer {
 public:
  using WithServer::WithServer;
  std::uint64_t once(const sockaddr_in& target, bool /*check*/) override {
    UniqueFd socket = open_stream();
    const auto before = now_ns();
    dial(socket.get(), target);
    require(::send(socket.get(), "x", 1, MSG_NOSIGNAL) == 1, "send");
    socket.reset();
    const auto after = now_ns();
    close_waiting(server_.listener);
    return after - before;
  }
};

class ConnectRequestClose final : public WithServer {
 public:
  using WithServer::WithServer;
  std::uint64_t once(const sockaddr_in& target, bool /*check*/) override {
    UniqueFd socket = open_stream();
    const auto before = now_ns();
    dial(socket.get(), target);
    {
      const UniqueFd accepted = accept_one(server_.listener);
      exchange(socket.get(), accepted.get());
      socket.reset();
    }
    return now_ns() - before;
  }
};

// Operations on one connection, made at the first.
class Established : public WithServer {
 public:
  using WithServer::WithServer;

 protected:
  void open_once(const sockaddr_in& target) {
    if (client_) return;
    client_ = open_stream();
    dial(client_.get(), target);
    accepted_ = accept_one(server_.listener);
  }

  UniqueFd client_;
  UniqueFd accepted_;
};

class PingPong final : public Established {
 public:
  using Established::Established;
  std::uint64_t once(const sockaddr_in& target, bool /*check*/) override {
    open_once(target);
    const auto before = now_ns();
    exchange(client_.get(), accepted_.get());
    return now_ns() - before;
  }
};

// As much at a time as the sockets take, so that one thread can be both ends.
class Bulk final : public Established {
 public:
  using Established::Established;
  std::uint64_t once(const sockaddr_in& target, bool /*check*/) override {
    open_once(target);
    const auto before = now_ns();
    for (std::size_t left = kBulkBytes; left > 0;) left -= move(std::min(left, chunk_.size()));
    return now_ns() - before;
  }

 private:
  // Less than `wanted` bytes, maybe.
  std::size_t move(std::size_t wanted) {
    const auto sent = await(
        [&] { return ::send(client_.get(), chunk_.data(), wanted, MSG_NOSIGNAL | MSG_DONTWAIT); },
        "send");
    for (auto due = sent; due > 0;) {
      due -=
          await([&] { return ::recv(accepted_.get(), chunk_.data(), chunk_.size(), MSG_DONTWAIT); },
                "wait for data");
    }
    return static_cast<std::size_t>(sent);
  }

  std::vector<char> chunk_ = std::vector<char>(65536);
};

class Send final : public WithServer {
 public:
  using WithServer::WithServer;
  std::uint64_t once(const sockaddr_in& target, bool /*check*/) override {
    const auto before = now_ns();
    send_to(socket_.get(), target);
    const auto after = now_ns();
    discard_datagrams(server_.datagrams);
    return after - before;
  }

 private:
  UniqueFd socket_ = open_socket(SOCK_DGRAM);
};

class Request final : public WithServer {
 public:
  using WithServer::WithServer;
  std::uint64_t once(const sockaddr_in& target, bool check) override {
    const auto before = now_ns();
    exchange_datagrams(socket_.get(), server_.datagrams, target, check);
    return now_ns() - before;
  }

 private:
  UniqueFd socket_ = open_socket(SOCK_DGRAM);
};

class RequestOnNewSocket final : public WithServer {
 public:
  using WithServer::WithServer;
  std::uint64_t once(const sockaddr_in& target, bool check) override {
    const auto before = now_ns();
    {
      const UniqueFd socket = open_socket(SOCK_DGRAM);
      exchange_datagrams(socket.get(), server_.datagrams, target, check);
    }
    return now_ns() - before;
  }
};

template <typename T>
std::unique_ptr<Operation> make(const ServerSockets& server) {
  return std::make_unique<T>(server);
}

}  // namespace

std::unique_ptr<Operation> make_operation(std::string_view workload, const ServerSockets& server) {
  if (workload == "tcp-connect") return make<Connect>(server);
  if (workload == "tcp-connect-close") return make<ConnectSendClose>(server);
  if (workload == "tcp-request") return make<ConnectRequestClose>(server);
  if (workload == "tcp-ping-pong") return make<PingPong>(server);
  if (workload == "tcp-bulk") return make<Bulk>(server);
  if (workload == "udp-send") return make<Send>(server);
  if (workload == "udp-request") return make<Request>(server);
  if (workload == "udp-request-new") return make<RequestOnNewSocket>(server);
  return nullptr;
}

}  // namespace topolb::bench
