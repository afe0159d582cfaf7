// SPDX-License-Identifier: Apache-2.0
#include "agent/http_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <list>
#include <thread>
#include <utility>
#include <vector>

#include "util/unique_fd.h"

namespace topolb::agent {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kMaxRequestBytes = 16 * 1024;
constexpr std::size_t kMaxConnections = 64;
constexpr std::chrono::seconds kPatience{10};
constexpr int kPollMilliseconds = 1000;

Result<UniqueFd> listen_on(const SocketAddress& address) {
  sockaddr_in6 ipv6{.sin6_family = AF_INET6, .sin6_port = htons(address.port)};
  sockaddr_in ipv4{.sin_family = AF_INET, .sin_port = htons(address.port)};
  const auto& bytes = address.address.bytes();
  std::memcpy(&ipv6.sin6_addr, bytes.data(), sizeof(ipv6.sin6_addr));
  std::memcpy(&ipv4.sin_addr, bytes.data() + 12, sizeof(ipv4.sin_addr));
  const bool is_ipv6 = address.address.family() == Family::IPv6;
  const auto* name =
      is_ipv6 ? reinterpret_cast<const sockaddr*>(&ipv6) : reinterpret_cast<const sockaddr*>(&ipv4);
  const socklen_t length = is_ipv6 ? sizeof(ipv6) : sizeof(ipv4);

  UniqueFd socket(::socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (!socket || ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      ::bind(socket.get(), name, length) != 0 || ::listen(socket.get(), SOMAXCONN) != 0) {
    return errno_error(errno, "--listen " + address.to_string());
  }
  return socket;
}

std::string_view reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 500:
      return "Internal Server Error";
    default:
      return "Service Unavailable";
  }
}

std::string reply_text(const HttpReply& reply) {
  return fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}Connection: close\r\n\r\n{}",
      reply.status, reason(reply.status), reply.content_type, reply.body.size(),
      reply.status == 405 ? "Allow: GET\r\n" : "", reply.body);
}

/// "GET /path?query HTTP/1.1" and what follows.
HttpReply reply_to(std::string_view request, const HttpServer::Handler& handler) {
  const auto line = request.substr(0, request.find("\r\n"));
  const auto first = line.find(' ');
  const auto second = line.find(' ', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos ||
      !line.substr(second + 1).starts_with("HTTP/1.")) {
    return {400, "text/plain", "no HTTP/1 request\n"};
  }
  if (line.substr(0, first) != "GET") return {405, "text/plain", "GET only\n"};
  const auto target = line.substr(first + 1, second - first - 1);
  try {
    return handler(target.substr(0, target.find('?')));
  } catch (const std::exception& failed) {
    return {500, "text/plain", fmt::format("{}\n", failed.what())};
  }
}

}  // namespace

class HttpServer::Thread {
 public:
  Thread(UniqueFd listener, UniqueFd stop, Handler handler)
      : listener_(std::move(listener)),
        stop_(std::move(stop)),
        handler_(std::move(handler)),
        thread_([this] { serve(); }) {}
  ~Thread() {
    ::eventfd_write(stop_.get(), 1);
    thread_.join();
  }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

 private:
  struct Connection {
    UniqueFd socket;
    steady_clock::time_point deadline = steady_clock::now() + kPatience;
    std::string request;
    std::string reply;  // empty: the request is not complete
    std::size_t sent = 0;
  };

  void serve();
  void accept_all();
  bool go_on(Connection& connection);

  UniqueFd listener_;
  UniqueFd stop_;
  Handler handler_;
  std::list<Connection> connections_;
  std::thread thread_;
};

void HttpServer::Thread::serve() {
  std::vector<pollfd> fds;
  while (true) {
    const short accepting = connections_.size() < kMaxConnections ? POLLIN : 0;
    fds = {{stop_.get(), POLLIN, 0}, {listener_.get(), accepting, 0}};
    for (const auto& connection : connections_) {
      const short events = connection.reply.empty() ? POLLIN : POLLOUT;
      fds.push_back({connection.socket.get(), events, 0});
    }
    ::poll(fds.data(), fds.size(), connections_.empty() ? -1 : kPollMilliseconds);
    if (fds[0].revents != 0) return;
    std::erase_if(connections_, [&](Connection& connection) { return !go_on(connection); });
    if (fds[1].revents != 0) accept_all();
  }
}

void HttpServer::Thread::accept_all() {
  while (connections_.size() < kMaxConnections) {
    UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return;
    connections_.push_back({.socket = std::move(socket)});
  }
}

/// Reads or writes what can be without waiting. False: it is over.
bool HttpServer::Thread::go_on(Connection& connection) {
  if (steady_clock::now() > connection.deadline) return false;
  std::array<char, 4096> buffer{};
  while (connection.reply.empty()) {
    const auto count = ::recv(connection.socket.get(), buffer.data(), buffer.size(), 0);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    if (count == 0) return false;
    connection.request.append(buffer.data(), static_cast<std::size_t>(count));
    if (connection.request.find("\r\n\r\n") != std::string::npos) {
      connection.reply = reply_text(reply_to(connection.request, handler_));
    } else if (connection.request.size() > kMaxRequestBytes) {
      return false;
    }
  }
  while (connection.sent < connection.reply.size()) {
    const auto count = ::send(connection.socket.get(), connection.reply.data() + connection.sent,
                              connection.reply.size() - connection.sent, MSG_NOSIGNAL);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    connection.sent += static_cast<std::size_t>(count);
  }
  return false;
}

HttpServer::HttpServer(std::unique_ptr<Thread> thread) : thread_(std::move(thread)) {}
HttpServer::HttpServer(HttpServer&&) noexcept = default;
HttpServer& HttpServer::operator=(HttpServer&&) noexcept = default;
HttpServer::~HttpServer() = default;

Result<HttpServer> HttpServer::start(const SocketAddress& address, Handler handler) {
  auto listener = listen_on(address);
  if (!listener) return listener.error();
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
  if (!stop) return errno_error(errno, "set up the HTTP server");
  return HttpServer(
      std::make_unique<Thread>(std::move(*listener), std::move(stop), std::move(handler)));
}

}  // namespace topolb::agent
