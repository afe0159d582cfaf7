// SPDX-License-Identifier: Apache-2.0
#include "connect_proxy.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <string_view>

#include "api_server_cable.h"

namespace topolb::kube {
namespace {
constexpr int kTickMs = 10;
}

ConnectProxy::ConnectProxy() : listener_(test::listen_on_loopback(port_)) {
  thread_ = std::thread([this] { run(); });
}

ConnectProxy::~ConnectProxy() {
  stopping_ = true;
  thread_.join();
}

std::string ConnectProxy::last_request() const {
  const std::lock_guard lock(mutex_);
  return last_request_;
}

void ConnectProxy::run() {
  while (!stopping_) {
    pollfd waiting{listener_.get(), POLLIN, 0};
    if (poll(&waiting, 1, kTickMs) <= 0) continue;
    const UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (client) serve(client.get());
  }
}

void ConnectProxy::serve(int client) {
  std::string head;
  for (char byte = 0; !head.ends_with("\r\n\r\n");) {
    if (recv(client, &byte, 1, 0) != 1) return;
    head += byte;
  }
  {
    const std::lock_guard lock(mutex_);
    last_request_ = head;
  }
  const UniqueFd server = test::connect_to_loopback(target_);
  static constexpr std::string_view kEstablished = "HTTP/1.1 200 Connection established\r\n\r\n";
  if (!server || send(client, kEstablished.data(), kEstablished.size(), MSG_NOSIGNAL) < 0) return;
  std::array<pollfd, 2> fds{{{client, POLLIN, 0}, {server.get(), POLLIN, 0}}};
  while (!stopping_) {
    if (poll(fds.data(), fds.size(), kTickMs) <= 0) continue;
    if (fds[0].revents != 0 && !test::carry(client, server.get())) return;
    if (fds[1].revents != 0 && !test::carry(server.get(), client)) return;
  }
}

}  // namespace topolb::kube
