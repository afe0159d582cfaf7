// SPDX-License-Identifier: Apache-2.0
#include "hook_client.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <stdexcept>

namespace topolb::bench {
namespace {

struct Order {
  Operation operation;
  std::uint32_t count;
};

const sockaddr* generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

void connect_new(int type, const sockaddr_in& target) {
  const UniqueFd socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  (void)::connect(socket.get(), generic(target), sizeof(target));
}

void send(int socket, const sockaddr_in& target) {
  (void)::sendto(socket, "x", 1, MSG_DONTWAIT, generic(target), sizeof(target));
}

void operate(Operation operation, int udp_socket, const sockaddr_in& target) {
  switch (operation) {
    case Operation::TcpConnect:
      return connect_new(SOCK_STREAM, target);
    case Operation::UdpConnect:
      return connect_new(SOCK_DGRAM, target);
    case Operation::UdpSend:
      return send(udp_socket, target);
    case Operation::UdpSendNew:
      return send(UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)).get(), target);
  }
}

void serve(int orders, const std::vector<SocketAddress>& targets) {
  std::vector<sockaddr_in> addresses;
  for (const auto& target : targets) addresses.push_back(to_sockaddr(target));
  const UniqueFd udp_socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  std::minstd_rand random(1);
  Order order{};
  while (::recv(orders, &order, sizeof(order), MSG_WAITALL) == sizeof(order)) {
    for (std::uint32_t i = 0; i < order.count; ++i) {
      operate(order.operation, udp_socket.get(), addresses[random() % addresses.size()]);
    }
    if (::write(orders, &order, sizeof(order)) != sizeof(order)) return;
  }
}

}  // namespace

HookClient::HookClient(const std::string& cgroup, const std::vector<SocketAddress>& targets)
    : HookClient(cgroup, targets, make_socket_pair()) {}

HookClient::HookClient(const std::string& cgroup, const std::vector<SocketAddress>& targets,
                       std::pair<UniqueFd, UniqueFd> orders)
    : orders_(std::move(orders.first)), child_([&] {
        orders_ = UniqueFd();
        enter_cgroup(cgroup);
        serve(orders.second.get(), targets);
      }) {}

void HookClient::run(Operation operation, std::uint32_t count) {
  Order order{operation, count};
  if (::write(orders_.get(), &order, sizeof(order)) != sizeof(order) ||
      ::recv(orders_.get(), &order, sizeof(order), MSG_WAITALL) != sizeof(order)) {
    throw std::runtime_error("a client has ended");
  }
}

}  // namespace topolb::bench
