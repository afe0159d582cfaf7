// SPDX-License-Identifier: Apache-2.0
#include "support/packet_socket.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "support/dissect.h"

namespace topolb::test {
namespace {

constexpr std::size_t kLargestFrame = 66000;
constexpr std::uint16_t kTcpChecksum = 16;
constexpr std::uint16_t kUdpChecksum = 6;

// Before every frame. linux/virtio_net.h is no C++. Source: virtio 1.2, 5.1.6.
struct FrameHeader {
  std::uint8_t flags;
  std::uint8_t gso_type;
  std::uint16_t header_length;
  std::uint16_t gso_size;
  std::uint16_t checksum_start;
  std::uint16_t checksum_offset;
};
static_assert(sizeof(FrameHeader) == 10);
constexpr std::uint8_t kNeedsChecksum = 1;
constexpr std::uint8_t kGsoTcpIpv4 = 1;
constexpr std::uint8_t kGsoTcpIpv6 = 4;

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

void set_option(int socket, int level, int name, const void* value, socklen_t length) {
  if (::setsockopt(socket, level, name, value, length) != 0) fail("option of a packet socket");
}

FrameHeader header_of(const Bytes& frame, const Offload& offload) {
  FrameHeader header{};
  if (!offload.checksum) return header;
  const auto packet = dissect(frame);
  if (!packet) throw std::runtime_error("no packet whose checksum can be left to a device");
  header.flags = kNeedsChecksum;
  header.checksum_start = static_cast<std::uint16_t>(packet->ip.transport);
  header.checksum_offset = packet->ip.protocol == IPPROTO_TCP ? kTcpChecksum : kUdpChecksum;
  if (offload.gso_size != 0) {
    header.gso_type = packet->ip.family == Family::IPv4 ? kGsoTcpIpv4 : kGsoTcpIpv6;
    header.gso_size = offload.gso_size;
    header.header_length = static_cast<std::uint16_t>(packet->ip.transport + 20);
  }
  return header;
}

}  // namespace

PacketSocket::PacketSocket(const std::string& device)
    : socket_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL))) {
  if (!socket_) fail("packet socket");
  const int on = 1;
  const timeval limit{.tv_sec = 5, .tv_usec = 0};
  set_option(socket_.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on));
  set_option(socket_.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
  set_option(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(::if_nametoindex(device.c_str()));
  if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    fail("packet socket on " + device);
  }
}

void PacketSocket::send(const Bytes& frame, const Offload& offload) const {
  auto header = header_of(frame, offload);
  const std::array<iovec, 2> parts{iovec{&header, sizeof(header)},
                                   iovec{const_cast<std::uint8_t*>(frame.data()), frame.size()}};
  if (::writev(socket_.get(), parts.data(), parts.size()) < 0) fail("send a frame");
}

std::optional<Received> PacketSocket::receive(
    const std::function<bool(const Bytes&)>& wanted) const {
  while (true) {
    FrameHeader header{};
    Received received{.frame = Bytes(kLargestFrame)};
    const std::array<iovec, 2> parts{iovec{&header, sizeof(header)},
                                     iovec{received.frame.data(), received.frame.size()}};
    const auto length = ::readv(socket_.get(), parts.data(), parts.size());
    if (length < static_cast<ssize_t>(sizeof(header))) return std::nullopt;
    received.frame.resize(static_cast<std::size_t>(length) - sizeof(header));
    received.needs_checksum = (header.flags & kNeedsChecksum) != 0;
    if (wanted(received.frame)) return received;
  }
}

}  // namespace topolb::test
