// SPDX-License-Identifier: Apache-2.0
#include "http_get.h"

#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <memory>

namespace topolb::test {
namespace {

constexpr timeval kAnswerTimeout{.tv_sec = 10, .tv_usec = 0};

std::string round_trip(const UniqueFd& socket, const std::string& request) {
  ::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL);
  std::string answer;
  std::array<char, 4096> buffer{};
  while (true) {
    const auto count = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (count <= 0) return answer;
    answer.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace

UniqueFd http_connect(const std::string& server) {
  const auto colon = server.rfind(':');
  auto host = server.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  const addrinfo hints{.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), server.c_str() + colon + 1, &hints, &found) != 0) return {};
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  UniqueFd socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kAnswerTimeout, sizeof(kAnswerTimeout));
  if (::connect(socket.get(), found->ai_addr, found->ai_addrlen) != 0) return {};
  return socket;
}

HttpAnswer http_get(const std::string& server, const std::string& path, const std::string& method) {
  const auto socket = http_connect(server);
  if (!socket) return {};
  // HTTP/1.0: no chunks, and the end of the connection is the end of the answer.
  const auto text = round_trip(socket, method + " " + path + " HTTP/1.0\r\nHost: test\r\n\r\n");
  HttpAnswer answer;
  const auto space = text.find(' ');
  const auto head_end = text.find("\r\n\r\n");
  if (space == std::string::npos || head_end == std::string::npos) return answer;
  std::from_chars(text.data() + space + 1, text.data() + text.size(), answer.status);
  answer.head = text.substr(0, head_end + 2);
  answer.body = text.substr(head_end + 4);
  return answer;
}

}  // namespace topolb::test
