// SPDX-License-Identifier: Apache-2.0
#include "plain_http.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>

#include "api_server_cable.h"

namespace topolb::kube {
namespace {

/// HTTP/1.0: the answer comes in one piece, and ends with the connection.
std::string text_of(const PlainRequest& request) {
  std::string text = fmt::format("{} {} HTTP/1.0\r\nContent-Length: {}\r\n", request.method,
                                 request.target, request.body.size());
  for (const std::string& header : request.headers) text += header + "\r\n";
  return text + "\r\n" + request.body;
}

}  // namespace

PlainConnection::PlainConnection(const PlainRequest& request)
    : socket_(test::connect_to_loopback(request.port)) {
  if (!socket_) {
    error_ = "nobody listens";
    return;
  }
  std::signal(SIGPIPE, SIG_IGN);  // what OpenSSL writes to a connection that has gone
  const int on = 1;
  setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const std::string text = text_of(request);
  const auto size = static_cast<int>(text.size());
  if (!request.tls) {
    if (send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL) != size) error_ = "not sent";
    return;
  }
  context_.reset(SSL_CTX_new(TLS_client_method()));
  session_.reset(SSL_new(context_.get()));
  SSL_set_fd(session_.get(), socket_.get());
  if (SSL_connect(session_.get()) != 1 || SSL_write(session_.get(), text.data(), size) != size) {
    error_ = "no TLS";
  }
}

std::string PlainConnection::read() {
  std::array<char, 16384> bytes{};
  const auto count = session_
                         ? SSL_read(session_.get(), bytes.data(), bytes.size())
                         : static_cast<int>(recv(socket_.get(), bytes.data(), bytes.size(), 0));
  return count <= 0 ? "" : std::string(bytes.data(), static_cast<std::size_t>(count));
}

void PlainConnection::end() const { shutdown(socket_.get(), SHUT_RDWR); }

PlainAnswer ask(const PlainRequest& request) {
  PlainConnection connection(request);
  if (!connection.error().empty()) return {0, connection.error()};
  std::string answer;
  for (std::string more = connection.read(); !more.empty(); more = connection.read()) {
    answer += more;
  }
  const auto head_end = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.") || head_end == std::string::npos) return {0, "no answer"};
  return {std::atoi(answer.c_str() + answer.find(' ')), answer.substr(head_end + 4)};
}

PlainWatch::PlainWatch(const PlainRequest& request) : connection_(request) {
  reader_ = std::thread([this] {
    while (!connection_.read().empty()) {
      const std::lock_guard lock(mutex_);
      arrivals_.push_back(Clock::now());
      arrived_.notify_all();
    }
  });
}

PlainWatch::~PlainWatch() {
  connection_.end();
  reader_.join();
}

PlainWatch::Clock::time_point PlainWatch::first_after(Clock::time_point time) {
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [&] { return !arrivals_.empty() && arrivals_.back() > time; });
  return *std::ranges::upper_bound(arrivals_, time);
}

}  // namespace topolb::kube
