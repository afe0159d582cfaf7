// SPDX-License-Identifier: Apache-2.0
#include "plain_http.h"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <memory>

#include "api_server_cable.h"

namespace topolb::kube {
namespace {

using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
using Session = std::unique_ptr<SSL, decltype(&SSL_free)>;

/// HTTP/1.0: the answer comes in one piece, and ends with the connection.
std::string text_of(const PlainRequest& request) {
  std::string text = fmt::format("{} {} HTTP/1.0\r\nContent-Length: {}\r\n", request.method,
                                 request.target, request.body.size());
  for (const std::string& header : request.headers) text += header + "\r\n";
  return text + "\r\n" + request.body;
}

std::string exchange(int fd, SSL* session, const std::string& text) {
  const auto size = static_cast<int>(text.size());
  const bool sent = session != nullptr ? SSL_write(session, text.data(), size) == size
                                       : send(fd, text.data(), text.size(), MSG_NOSIGNAL) == size;
  std::string answer;
  std::array<char, 16384> bytes{};
  while (sent) {
    const auto count = session != nullptr
                           ? SSL_read(session, bytes.data(), bytes.size())
                           : static_cast<int>(recv(fd, bytes.data(), bytes.size(), 0));
    if (count <= 0) break;
    answer.append(bytes.data(), static_cast<std::size_t>(count));
  }
  return answer;
}

}  // namespace

PlainAnswer ask(const PlainRequest& request) {
  const UniqueFd socket = test::connect_to_loopback(request.port);
  if (!socket) return {0, "nobody listens"};
  const Context context(request.tls ? SSL_CTX_new(TLS_client_method()) : nullptr, SSL_CTX_free);
  const Session session(context ? SSL_new(context.get()) : nullptr, SSL_free);
  if (session) {
    SSL_set_fd(session.get(), socket.get());
    if (SSL_connect(session.get()) != 1) return {0, "no TLS"};
  }
  const std::string answer = exchange(socket.get(), session.get(), text_of(request));
  const auto head_end = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.") || head_end == std::string::npos) return {0, "no answer"};
  return {std::atoi(answer.c_str() + answer.find(' ')), answer.substr(head_end + 4)};
}

}  // namespace topolb::kube
