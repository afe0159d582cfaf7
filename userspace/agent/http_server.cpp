// SPDX-License-Identifier: Apache-2.0
#include "agent/http_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "util/unique_fd.h"

namespace topolb::agent {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kMaxRequestBytes = 16 * 1024;
constexpr std::size_t kMaxConnections = 256;
constexpr std::chrono::seconds kPatience{10};
constexpr int kWaitMilliseconds = 1000;
// Without a descriptor for who waits to be accepted: the kernel would wake us again at once.
constexpr std::chrono::milliseconds kPause{50};

Result<UniqueFd> listen_on(const SocketAddress& address, HttpServer::Families families) {
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
  const int only_ipv6 = families == HttpServer::Families::OwnOnly ? 1 : 0;
  if (!socket || ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      (is_ipv6 &&
       ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only_ipv6, sizeof(only_ipv6)) != 0) ||
      ::bind(socket.get(), name, length) != 0 || ::listen(socket.get(), SOMAXCONN) != 0) {
    return errno_error(errno, address.to_string());
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
    case 500:
      return "Internal Server Error";
    default:
      return "Service Unavailable";
  }
}

std::string reply_text(const HttpReply& reply, bool with_body) {
  std::string headers;
  for (const auto& [name, value] : reply.headers) {
    headers += fmt::format("{}: {}\r\n", name, value);
  }
  return fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}Connection: close\r\n\r\n{}",
      reply.status, reason(reply.status), reply.content_type, reply.body.size(), headers,
      with_body ? reply.body : "");
}

/// "GET /path?query HTTP/1.1" and what follows. No method is refused, as kube-proxy refuses none:
/// some load balancers probe with OPTIONS.
HttpReply reply_to(std::string_view request, const HttpServer::Handler& handler) {
  const auto line = request.substr(0, request.find("\r\n"));
  const auto first = line.find(' ');
  const auto second = line.find(' ', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos ||
      !line.substr(second + 1).starts_with("HTTP/1.")) {
    return {400, "text/plain", "no HTTP/1 request\n"};
  }
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
  Thread(UniqueFd epoll, UniqueFd stop)
      : epoll_(std::move(epoll)), stop_(std::move(stop)), thread_([this] { serve(); }) {}
  ~Thread() {
    ::eventfd_write(stop_.get(), 1);
    thread_.join();
  }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  Result<void> listen(const SocketAddress& address, UniqueFd socket, Handler handler);
  void stop_listening(const SocketAddress& address);

 private:
  struct Listener {
    SocketAddress address;
    UniqueFd socket;
    std::shared_ptr<const Handler> handler;
  };
  struct Connection {
    UniqueFd socket;
    std::shared_ptr<const Handler> handler;
    steady_clock::time_point deadline = steady_clock::now() + kPatience;
    std::string request;
    std::string reply;  // empty: the request is not complete
    std::size_t sent = 0;
  };
  // Numbers are never used again: an event of what is gone means nobody else.
  using Number = std::uint64_t;
  static constexpr Number kStop = 0;

  void serve();
  void drop_the_late();
  bool accept_all(Number number);
  void go_on(Number number, Connection& connection);
  static bool read_request(Connection& connection);
  static bool write_reply(Connection& connection);

  UniqueFd epoll_;
  UniqueFd stop_;
  std::mutex mutex_;  // next_, listeners_
  Number next_ = kStop + 1;
  std::map<Number, Listener> listeners_;
  std::map<Number, Connection> connections_;  // the oldest first; of the thread only
  std::thread thread_;
};

Result<void> HttpServer::Thread::listen(const SocketAddress& address, UniqueFd socket,
                                        Handler handler) {
  const std::lock_guard lock(mutex_);
  const Number number = next_++;
  epoll_event event{.events = EPOLLIN, .data = {.u64 = number}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket.get(), &event) != 0) {
    return errno_error(errno, address.to_string());
  }
  listeners_.emplace(number, Listener{address, std::move(socket),
                                      std::make_shared<const Handler>(std::move(handler))});
  return {};
}

void HttpServer::Thread::stop_listening(const SocketAddress& address) {
  const std::lock_guard lock(mutex_);
  std::erase_if(listeners_, [&](const auto& entry) { return entry.second.address == address; });
}

void HttpServer::Thread::serve() {
  std::array<epoll_event, 64> events{};
  while (true) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(),
                                   connections_.empty() ? -1 : kWaitMilliseconds);
    for (int i = 0; i < count; ++i) {
      const Number number = events[static_cast<std::size_t>(i)].data.u64;
      if (number == kStop) return;
      if (const auto found = connections_.find(number); found != connections_.end()) {
        go_on(number, found->second);
      } else if (!accept_all(number)) {
        std::this_thread::sleep_for(kPause);
      }
    }
    drop_the_late();
  }
}

void HttpServer::Thread::drop_the_late() {
  const auto now = steady_clock::now();
  while (!connections_.empty() &&
         (connections_.begin()->second.deadline < now || connections_.size() > kMaxConnections)) {
    connections_.erase(connections_.begin());
  }
}

/// False: there is no descriptor for who waits.
bool HttpServer::Thread::accept_all(Number number) {
  const std::lock_guard lock(mutex_);
  const auto listener = listeners_.find(number);
  if (listener == listeners_.end()) return true;
  // Not more than can be kept: the rest is for the next turn.
  for (std::size_t i = 0; i < kMaxConnections; ++i) {
    UniqueFd socket(
        ::accept4(listener->second.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket && (errno == EMFILE || errno == ENFILE)) {
      if (connections_.empty()) return false;
      connections_.erase(connections_.begin());
      continue;
    }
    if (!socket) return true;
    epoll_event event{.events = EPOLLIN, .data = {.u64 = next_}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket.get(), &event) != 0) return true;
    connections_.emplace(
        next_++, Connection{.socket = std::move(socket), .handler = listener->second.handler});
  }
  return true;
}

/// Reads or writes what can be without waiting.
void HttpServer::Thread::go_on(Number number, Connection& connection) {
  const bool was_reading = connection.reply.empty();
  bool open = !was_reading || read_request(connection);
  if (open && !connection.reply.empty()) {
    open = write_reply(connection);
    if (open && was_reading) {
      epoll_event event{.events = EPOLLOUT, .data = {.u64 = number}};
      open = ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.socket.get(), &event) == 0;
    }
  }
  if (!open) connections_.erase(number);
}

/// False: it is over.
bool HttpServer::Thread::read_request(Connection& connection) {
  std::array<char, 4096> buffer{};
  while (true) {
    const auto count = ::recv(connection.socket.get(), buffer.data(), buffer.size(), 0);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    if (count == 0) return false;
    connection.request.append(buffer.data(), static_cast<std::size_t>(count));
    if (connection.request.find("\r\n\r\n") != std::string::npos) {
      connection.reply = reply_text(reply_to(connection.request, *connection.handler),
                                    !connection.request.starts_with("HEAD "));
      return true;
    }
    if (connection.request.size() > kMaxRequestBytes) return false;
  }
}

/// False: it is over.
bool HttpServer::Thread::write_reply(Connection& connection) {
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

Result<HttpServer> HttpServer::start() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
  epoll_event event{.events = EPOLLIN, .data = {.u64 = 0}};
  if (!epoll || !stop || ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, stop.get(), &event) != 0) {
    return errno_error(errno, "set up the HTTP server");
  }
  return HttpServer(std::make_unique<Thread>(std::move(epoll), std::move(stop)));
}

Result<void> HttpServer::listen(const SocketAddress& address, Handler handler, Families families) {
  auto socket = listen_on(address, families);
  if (!socket) return socket.error();
  return thread_->listen(address, std::move(*socket), std::move(handler));
}

void HttpServer::stop_listening(const SocketAddress& address) { thread_->stop_listening(address); }

}  // namespace topolb::agent
