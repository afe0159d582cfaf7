// SPDX-License-Identifier: Apache-2.0
#include "support/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <stdexcept>

namespace topolb::test {
namespace {

struct Sockaddr {
  sockaddr_storage storage{};
  socklen_t length = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

Sockaddr to_sockaddr(const SocketAddress& address, bool mapped) {
  Sockaddr result;
  const auto& bytes = address.address.bytes();
  if (address.address.family() == Family::IPv4 && !mapped) {
    auto* ipv4 = reinterpret_cast<sockaddr_in*>(&result.storage);
    ipv4->sin_family = AF_INET;
    ipv4->sin_port = htons(address.port);
    std::memcpy(&ipv4->sin_addr, bytes.data() + 12, 4);
    result.length = sizeof(*ipv4);
  } else {
    auto* ipv6 = reinterpret_cast<sockaddr_in6*>(&result.storage);
    ipv6->sin6_family = AF_INET6;
    ipv6->sin6_port = htons(address.port);
    std::memcpy(&ipv6->sin6_addr, bytes.data(), 16);
    result.length = sizeof(*ipv6);
  }
  return result;
}

std::string to_text(const Sockaddr& address) {
  std::array<std::uint8_t, 16> bytes = IpAddress::unspecified(Family::IPv4).bytes();
  if (address.storage.ss_family == AF_INET) {
    const auto* ipv4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
    std::memcpy(bytes.data() + 12, &ipv4->sin_addr, 4);
    return SocketAddress{IpAddress(bytes), ntohs(ipv4->sin_port)}.to_string();
  }
  const auto* ipv6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
  std::memcpy(bytes.data(), &ipv6->sin6_addr, 16);
  return SocketAddress{IpAddress(bytes), ntohs(ipv6->sin6_port)}.to_string();
}

UniqueFd open_socket(bool ipv6, int type, std::chrono::milliseconds wait = kAnswerTimeout) {
  UniqueFd socket(::socket(ipv6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0));
  if (!socket) throw std::runtime_error("socket");
  const timeval timeout{.tv_sec = wait.count() / 1000, .tv_usec = wait.count() % 1000 * 1000};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));  // of connect()
  return socket;
}

bool needs_ipv6(const SocketAddress& address, SocketFamily family) {
  return address.address.family() == Family::IPv6 || family == SocketFamily::MappedIpv6;
}

std::string receive(int socket, Sockaddr* sender) {
  std::array<char, 128> buffer{};
  socklen_t length = sizeof(sockaddr_storage);
  const auto got = ::recvfrom(socket, buffer.data(), buffer.size(), 0,
                              sender != nullptr ? sender->get() : nullptr,
                              sender != nullptr ? &length : nullptr);
  return got > 0 ? std::string(buffer.data(), static_cast<std::size_t>(got)) : std::string();
}

std::string peer_name(int socket) {
  Sockaddr peer;
  peer.length = sizeof(peer.storage);
  return ::getpeername(socket, peer.get(), &peer.length) == 0 ? to_text(peer) : "";
}

}  // namespace

SocketAddress socket_address(const std::string& text) {
  const auto colon = text.rfind(':');
  std::string host = text.substr(0, colon);
  if (!host.empty() && host.front() == '[') host = host.substr(1, host.size() - 2);
  const auto address = IpAddress::parse(host);
  std::uint16_t port = 0;
  const auto* begin = text.data() + colon + 1;
  if (!address || std::from_chars(begin, text.data() + text.size(), port).ec != std::errc{}) {
    throw std::runtime_error("no socket address: " + text);
  }
  return {*address, port};
}

Server::Server(const std::string& address, Protocol protocol)
    : name_(address), protocol_(protocol), stop_(::eventfd(0, EFD_CLOEXEC)) {
  const auto parsed = socket_address(address);
  socket_ = open_socket(parsed.address.family() == Family::IPv6,
                        protocol == Protocol::TCP ? SOCK_STREAM : SOCK_DGRAM);
  const int on = 1;
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  auto local = to_sockaddr(parsed, false);
  if (::bind(socket_.get(), local.get(), local.length) != 0 ||
      (protocol == Protocol::TCP && ::listen(socket_.get(), 4096) != 0)) {
    throw std::runtime_error(fmt::format("serve on {}: {}", address, std::strerror(errno)));
  }
  thread_ = std::thread([this] { serve(); });
}

Server::~Server() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

void Server::serve() {
  std::array<pollfd, 2> fds{{{socket_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
  while (::poll(fds.data(), fds.size(), -1) >= 0 && fds[1].revents == 0) answer();
}

void Server::remember(const std::string& client) {
  const std::lock_guard lock(mutex_);
  last_client_ = client;
}

std::string Server::last_client() const {
  const std::lock_guard lock(mutex_);
  return last_client_;
}

void Server::answer() {
  if (protocol_ == Protocol::TCP) {
    const UniqueFd connection(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (connection) remember(peer_name(connection.get()));
    if (connection) (void)::send(connection.get(), name_.data(), name_.size(), MSG_NOSIGNAL);
    return;
  }
  Sockaddr client;
  client.length = sizeof(client.storage);
  std::array<char, 128> buffer{};
  if (::recvfrom(socket_.get(), buffer.data(), buffer.size(), 0, client.get(), &client.length) >=
      0) {
    remember(to_text(client));
    ::sendto(socket_.get(), name_.data(), name_.size(), 0, client.get(), client.length);
  }
}

Seen dial_tcp(const std::string& frontend, SocketFamily family, std::chrono::milliseconds timeout) {
  const auto address = socket_address(frontend);
  const bool ipv6 = needs_ipv6(address, family);
  const UniqueFd socket = open_socket(ipv6, SOCK_STREAM, timeout);
  auto target = to_sockaddr(address, ipv6);
  if (::connect(socket.get(), target.get(), target.length) != 0) return {.error = errno};
  Seen seen{.peer = peer_name(socket.get())};
  seen.backend = receive(socket.get(), nullptr);
  return seen;
}

Seen dial_connected_udp(const std::string& frontend, SocketFamily family) {
  const auto address = socket_address(frontend);
  const bool ipv6 = needs_ipv6(address, family);
  const UniqueFd socket = open_socket(ipv6, SOCK_DGRAM);
  auto target = to_sockaddr(address, ipv6);
  if (::connect(socket.get(), target.get(), target.length) != 0) return {.error = errno};
  if (::send(socket.get(), "?", 1, 0) != 1) return {.error = errno};
  Sockaddr sender;
  Seen seen;
  seen.backend = receive(socket.get(), &sender);
  const auto peer = peer_name(socket.get());
  seen.peer = peer == to_text(sender) ? peer : peer + " != " + to_text(sender);
  return seen;
}

int bind_error(const std::string& address, Protocol protocol, SocketFamily family) {
  const auto parsed = socket_address(address);
  const bool ipv6 = needs_ipv6(parsed, family);
  const UniqueFd socket = open_socket(ipv6, protocol == Protocol::TCP ? SOCK_STREAM : SOCK_DGRAM);
  auto local = to_sockaddr(parsed, ipv6);
  return ::bind(socket.get(), local.get(), local.length) == 0 ? 0 : errno;
}

Connection::Connection(const std::string& address, Protocol protocol)
    : socket_(open_socket(needs_ipv6(socket_address(address), {}),
                          protocol == Protocol::TCP ? SOCK_STREAM : SOCK_DGRAM)) {
  connect(address);
}

std::string Connection::connect(const std::string& address) {
  auto target = to_sockaddr(socket_address(address), false);
  const bool connected = ::connect(socket_.get(), target.get(), target.length) == 0;
  return connected ? peer() : std::strerror(errno);
}

std::string Connection::peer() const { return peer_name(socket_.get()); }

int Connection::send_to(const std::string& address) const {
  auto target = to_sockaddr(socket_address(address), false);
  return ::sendto(socket_.get(), "?", 1, 0, target.get(), target.length) == 1 ? 0 : errno;
}

Connection Connection::duplicate() const {
  return Connection(UniqueFd(::fcntl(socket_.get(), F_DUPFD_CLOEXEC, 3)));
}

UdpClient::UdpClient(Family family, SocketFamily socket_family)
    : mapped_(socket_family == SocketFamily::MappedIpv6),
      socket_(open_socket(family == Family::IPv6 || mapped_, SOCK_DGRAM)) {}

Seen UdpClient::ask(const std::string& frontend) {
  auto target = to_sockaddr(socket_address(frontend), mapped_);
  if (::sendto(socket_.get(), "?", 1, 0, target.get(), target.length) != 1) return {.error = errno};
  Sockaddr sender;
  Seen seen;
  seen.backend = receive(socket_.get(), &sender);
  seen.peer = to_text(sender);
  return seen;
}

ConnectedUdp::ConnectedUdp(std::string address, SocketFamily family)
    : address_(std::move(address)),
      ipv6_(needs_ipv6(socket_address(address_), family)),
      socket_(open_socket(ipv6_, SOCK_DGRAM)) {
  connect_to(address_);
}

void ConnectedUdp::connect_to(const std::string& address) {
  auto target = to_sockaddr(socket_address(address), ipv6_);
  if (::connect(socket_.get(), target.get(), target.length) != 0) {
    throw std::runtime_error(fmt::format("connect to {}: {}", address, std::strerror(errno)));
  }
}

int ConnectedUdp::send_error(std::size_t bytes) const {
  const std::string datagram(bytes, '?');
  return ::send(socket_.get(), datagram.data(), bytes, 0) >= 0 ? 0 : errno;
}

int ConnectedUdp::take_error() const {
  int error = 0;
  socklen_t length = sizeof(error);
  ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  return error;
}

std::string ConnectedUdp::ask() const {
  return send_error() == 0 ? receive(socket_.get(), nullptr) : "";
}

}  // namespace topolb::test
