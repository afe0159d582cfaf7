// SPDX-License-Identifier: Apache-2.0
#include "socket_api.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>

namespace topolb::bench {
namespace {

constexpr std::size_t kPieceBytes = 16384;  // as the HTTP client hands a body on

UniqueFd connect_to(const std::string& path) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    throw std::runtime_error("cannot connect to " + path);
  }
  return socket;
}

void send_line(int fd, std::string line) {
  line += '\n';
  if (::send(fd, line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) {
    throw std::runtime_error("the object server is gone");
  }
}

}  // namespace

Result<kube::HttpResponse> SocketApi::send(const kube::ApiRequest& request,
                                           const kube::BodySink& sink, std::stop_token stop) {
  const UniqueFd socket = connect_to(socket_path_);
  const std::stop_callback hang_up(stop, [&] { ::shutdown(socket.get(), SHUT_RDWR); });
  send_line(socket.get(), request.target);
  kube::HttpResponse response;
  response.status = 200;
  std::array<char, kPieceBytes> piece{};
  while (true) {
    const ssize_t count = ::recv(socket.get(), piece.data(), piece.size(), 0);
    if (count <= 0) break;
    bytes_ += static_cast<std::uint64_t>(count);
    if (!sink({piece.data(), static_cast<std::size_t>(count)})) {
      response.stopped_by_sink = true;
      break;
    }
  }
  if (stop.stop_requested()) {
    return Error{std::make_error_code(std::errc::operation_canceled), "stopped"};
  }
  return response;
}

Scenario::Scenario(const std::string& socket_path) : socket_(connect_to(socket_path)) {}

void Scenario::begin(const std::string& command) { send_line(socket_.get(), command); }

// Not byte by byte: what this takes counts as the agent's.
std::string Scenario::result() {
  std::string line;
  std::array<char, 256> piece{};
  while (!line.ends_with('\n')) {
    const ssize_t count = ::recv(socket_.get(), piece.data(), piece.size(), 0);
    if (count <= 0) return line;
    line.append(piece.data(), static_cast<std::size_t>(count));
  }
  line.pop_back();
  return line;
}

}  // namespace topolb::bench
