// SPDX-License-Identifier: Apache-2.0
#include "api_server_cable.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <stdexcept>
#include <vector>

namespace topolb::test {
namespace {

constexpr int kTickMs = 10;

sockaddr_in loopback4(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

sockaddr_in6 loopback6(std::uint16_t port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  address.sin6_addr = in6addr_loopback;
  return address;
}

/// The port is at the same place in both families.
template <typename Address>
UniqueFd listen_on(Address address, std::uint16_t& ret_port) {
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  UniqueFd fd(socket(generic->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  socklen_t length = sizeof address;
  if (bind(fd.get(), generic, length) != 0 || listen(fd.get(), SOMAXCONN) != 0 ||
      getsockname(fd.get(), generic, &length) != 0) {
    throw std::runtime_error("test: cannot listen on loopback");
  }
  ret_port = ntohs(reinterpret_cast<const sockaddr_in*>(generic)->sin_port);
  return fd;
}

void no_delay(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

bool carry(int from, int to) {
  std::array<char, 65536> bytes;
  const ssize_t count = recv(from, bytes.data(), bytes.size(), 0);
  if (count <= 0) return false;
  for (ssize_t sent = 0; sent < count;) {
    const ssize_t more =
        send(to, bytes.data() + sent, static_cast<std::size_t>(count - sent), MSG_NOSIGNAL);
    if (more <= 0) return false;
    sent += more;
  }
  return true;
}

UniqueFd listen_on_loopback(std::uint16_t& ret_port, Family family) {
  return family == Family::IPv4 ? listen_on(loopback4(ret_port), ret_port)
                                : listen_on(loopback6(ret_port), ret_port);
}

UniqueFd connect_to_loopback(std::uint16_t port) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback4(port);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fd.reset();
  }
  return fd;
}

Cable::Cable(std::uint16_t port, Family family)
    : listener_(listen_on_loopback(port_, family)), target_(port) {
  thread_ = std::thread([this] { run(); });
}

Cable::~Cable() {
  stopping_ = true;
  thread_.join();
}

void Cable::cut() {
  const std::lock_guard lock(mutex_);
  is_cut_ = true;
  wires_.clear();
}

void Cable::freeze() {
  const std::lock_guard lock(mutex_);
  for (Wire& wire : wires_) wire.frozen = true;
}

void Cable::mend() {
  const std::lock_guard lock(mutex_);
  is_cut_ = false;
}

void Cable::accept_one() {
  Wire wire{UniqueFd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)),
            is_cut_ ? UniqueFd() : connect_to_loopback(target_)};
  if (!wire.client || !wire.server) return;
  no_delay(wire.client.get());
  no_delay(wire.server.get());
  wires_.push_back(std::move(wire));
}

void Cable::run() {
  while (!stopping_) {
    std::vector<pollfd> fds{{listener_.get(), POLLIN, 0}};
    std::unique_lock lock(mutex_);
    for (const Wire& wire : wires_) {
      const short events = wire.frozen ? 0 : POLLIN;
      fds.push_back({wire.frozen ? -1 : wire.client.get(), events, 0});
      fds.push_back({wire.frozen ? -1 : wire.server.get(), events, 0});
    }
    const std::size_t polled = wires_.size();
    lock.unlock();
    if (poll(fds.data(), fds.size(), kTickMs) <= 0) continue;
    lock.lock();
    if (wires_.size() != polled) continue;  // cut in the meantime
    std::size_t index = 1;
    for (auto wire = wires_.begin(); wire != wires_.end(); index += 2) {
      const bool alive =
          (fds[index].revents == 0 || carry(wire->client.get(), wire->server.get())) &&
          (fds[index + 1].revents == 0 || carry(wire->server.get(), wire->client.get()));
      wire = alive ? std::next(wire) : wires_.erase(wire);
    }
    if (fds[0].revents != 0) accept_one();
  }
}

}  // namespace topolb::test
