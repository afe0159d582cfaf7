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

void put_word(Bytes& frame, std::size_t at, std::uint16_t word) {
  frame.at(at) = static_cast<std::uint8_t>(word >> 8);
  frame.at(at + 1) = static_cast<std::uint8_t>(word);
}

// One's complement.
std::uint16_t difference(std::uint16_t sum, std::uint16_t part) {
  const std::uint32_t wide = sum + static_cast<std::uint16_t>(~part);
  return static_cast<std::uint16_t>(wide + (wide >> 16));
}

// Leaves the checksum to the device, which finds the pseudo header's sum in its place.
FrameHeader leave_checksum(Bytes& frame, std::uint16_t gso_size) {
  const auto packet = dissect(frame);
  if (!packet) throw std::runtime_error("no packet whose checksum can be left to a device");
  const auto& ip = packet->ip;
  FrameHeader header{};
  header.flags = kNeedsChecksum;
  header.checksum_start = static_cast<std::uint16_t>(ip.transport);
  header.checksum_offset = ip.protocol == IPPROTO_TCP ? kTcpChecksum : kUdpChecksum;
  put_word(frame, ip.transport + header.checksum_offset,
           difference(sum_of_transport(frame, ip), sum_of(frame, ip.transport, ip.end)));
  if (gso_size != 0) {
    header.gso_type = ip.family == Family::IPv4 ? kGsoTcpIpv4 : kGsoTcpIpv6;
    header.gso_size = gso_size;
    header.header_length = static_cast<std::uint16_t>(ip.transport + 20);
  }
  return header;
}

void complete_checksum(Bytes& frame, const FrameHeader& header) {
  if ((header.flags & kNeedsChecksum) == 0) return;
  put_word(frame, std::size_t{header.checksum_start} + header.checksum_offset,
           static_cast<std::uint16_t>(~sum_of(frame, header.checksum_start, frame.size())));
}

// The kernel keeps the outer VLAN tag beside the frame. Source: packet(7), PACKET_AUXDATA.
void put_tag_back(Bytes& frame, msghdr& message) {
  for (auto* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_PACKET || part->cmsg_type != PACKET_AUXDATA) continue;
    tpacket_auxdata beside{};
    std::memcpy(&beside, CMSG_DATA(part), sizeof(beside));
    if ((beside.tp_status & TP_STATUS_VLAN_VALID) == 0) continue;
    const auto tag = (std::uint32_t{beside.tp_vlan_tpid} << 16) | beside.tp_vlan_tci;
    for (int byte = 0; byte < 4; ++byte) {
      frame.insert(frame.begin() + 12 + byte, static_cast<std::uint8_t>(tag >> (24 - 8 * byte)));
    }
  }
}

}  // namespace

PacketSocket::PacketSocket(const std::string& device)
    : socket_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL))) {
  if (!socket_) fail("packet socket");
  const int on = 1;
  const timeval limit{.tv_sec = 5, .tv_usec = 0};
  set_option(socket_.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on));
  set_option(socket_.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on));
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

void PacketSocket::send(Bytes frame, const Offload& offload) const {
  auto header = offload.checksum ? leave_checksum(frame, offload.gso_size) : FrameHeader{};
  const std::array<iovec, 2> parts{iovec{&header, sizeof(header)},
                                   iovec{frame.data(), frame.size()}};
  if (::writev(socket_.get(), parts.data(), parts.size()) < 0) fail("send a frame");
}

std::optional<Received> PacketSocket::receive(
    const std::function<bool(const Bytes&)>& wanted) const {
  while (true) {
    FrameHeader header{};
    Received received{.frame = Bytes(kLargestFrame)};
    std::array<iovec, 2> parts{iovec{&header, sizeof(header)},
                               iovec{received.frame.data(), received.frame.size()}};
    alignas(cmsghdr) std::array<char, 256> beside{};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    message.msg_control = beside.data();
    message.msg_controllen = beside.size();
    const auto length = ::recvmsg(socket_.get(), &message, 0);
    if (length < static_cast<ssize_t>(sizeof(header))) return std::nullopt;
    received.frame.resize(static_cast<std::size_t>(length) - sizeof(header));
    complete_checksum(received.frame, header);
    put_tag_back(received.frame, message);
    received.needs_checksum = (header.flags & kNeedsChecksum) != 0;
    if (wanted(received.frame)) return received;
  }
}

}  // namespace topolb::test
