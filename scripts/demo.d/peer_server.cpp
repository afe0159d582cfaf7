// SPDX-License-Identifier: Apache-2.0
#include "peer_server.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "util/unique_fd.h"

namespace topolb::demo {
namespace {

constexpr int kBacklog = 1024;

Result<UniqueFd> listen_on(int type, std::uint16_t port) {
  const std::string what = "listen on port " + std::to_string(port);
  UniqueFd socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  if (!socket) return errno_error(errno, what);
  const int one = 1;
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return errno_error(errno, what);
  }
  if (type == SOCK_STREAM && ::listen(socket.get(), kBacklog) != 0) return errno_error(errno, what);
  return socket;
}

// A client that is gone already is its own affair.
void answer_connection(int listener, const std::string& name) {
  const UniqueFd client(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  if (client) (void)::send(client.get(), name.data(), name.size(), MSG_NOSIGNAL);
}

void answer_datagram(int socket, const std::string& name) {
  std::array<char, 64> request{};
  sockaddr_in sender{};
  socklen_t size = sizeof(sender);
  auto* const address = reinterpret_cast<sockaddr*>(&sender);
  if (::recvfrom(socket, request.data(), request.size(), 0, address, &size) < 0) return;
  (void)::sendto(socket, name.data(), name.size(), 0, address, size);
}

}  // namespace

Error serve(const std::string& name, std::uint16_t port) {
  auto tcp = listen_on(SOCK_STREAM, port);
  if (!tcp) return tcp.error();
  auto udp = listen_on(SOCK_DGRAM, port);
  if (!udp) return udp.error();
  std::array<pollfd, 2> watched{{{tcp->get(), POLLIN, 0}, {udp->get(), POLLIN, 0}}};
  while (true) {
    if (::poll(watched.data(), watched.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return errno_error(errno, "wait for clients");
    }
    if (watched[0].revents != 0) answer_connection(tcp->get(), name);
    if (watched[1].revents != 0) answer_datagram(udp->get(), name);
  }
}

}  // namespace topolb::demo
