// SPDX-License-Identifier: Apache-2.0
// Sources: RFC 791, 768, 792, 1071, 4443, 8200, 9293, IEEE 802.1Q.
#include "support/dissect.h"

#include <array>

namespace topolb::test {
namespace {

constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kFragmentHeader = 44;
constexpr std::uint8_t kAuthenticationHeader = 51;
constexpr std::uint8_t kIcmpV6 = 58;

std::uint32_t word(const Bytes& frame, std::size_t at) {
  return static_cast<std::uint32_t>(frame[at] << 8 | frame[at + 1]);
}

IpAddress address(const Bytes& frame, std::size_t at, Family family) {
  std::array<std::uint8_t, 16> bytes{};
  const bool ipv4 = family == Family::IPv4;
  if (ipv4) bytes[10] = bytes[11] = 0xff;
  for (std::size_t i = ipv4 ? 12 : 0; i < 16; ++i) bytes.at(i) = frame[at++];
  return IpAddress(bytes);
}

bool is_extension(std::uint8_t header) {
  return header == 0 || header == 43 || header == kFragmentHeader || header == 60 ||
         header == kAuthenticationHeader;
}

/// `end`: what is there of the frame.
std::optional<DissectedIp> dissect_ipv4(const Bytes& frame, std::size_t at, std::size_t end,
                                        bool quoted) {
  if (at + 20 > end || frame[at] >> 4 != 4) return std::nullopt;
  DissectedIp ip{.start = at,
                 .transport = at + (frame[at] & 15U) * 4U,
                 .end = at + word(frame, at + 2),
                 .family = Family::IPv4,
                 .protocol = frame[at + 9],
                 .is_fragment = (word(frame, at + 6) & 0x3fff) != 0,
                 .is_later_fragment = (word(frame, at + 6) & 0x1fff) != 0,
                 .source = address(frame, at + 12, Family::IPv4),
                 .destination = address(frame, at + 16, Family::IPv4)};
  if (quoted) ip.end = end;
  if ((frame[at] & 15U) < 5 || ip.transport > ip.end || ip.end > end) return std::nullopt;
  return ip;
}

std::optional<DissectedIp> dissect_ipv6(const Bytes& frame, std::size_t at, std::size_t end,
                                        bool quoted) {
  if (at + 40 > end || frame[at] >> 4 != 6) return std::nullopt;
  DissectedIp ip{.start = at,
                 .transport = at + 40,
                 .end = at + 40 + word(frame, at + 4),
                 .family = Family::IPv6,
                 .protocol = frame[at + 6],
                 .source = address(frame, at + 8, Family::IPv6),
                 .destination = address(frame, at + 24, Family::IPv6)};
  if (quoted) ip.end = end;
  if (ip.end > end) return std::nullopt;
  while (is_extension(ip.protocol) && !ip.is_later_fragment) {
    if (ip.transport + 8 > ip.end) return std::nullopt;
    const auto header = ip.protocol;
    const std::size_t length = frame[ip.transport + 1];
    ip.protocol = frame[ip.transport];
    if (header == kFragmentHeader) {
      ip.is_fragment = ip.is_fragment || (word(frame, ip.transport + 2) & 0xfff9) != 0;
      ip.is_later_fragment = (word(frame, ip.transport + 2) & 0xfff8) != 0;
      ip.transport += 8;
    } else {
      ip.transport += header == kAuthenticationHeader ? (length + 2) * 4 : (length + 1) * 8;
    }
    if (ip.transport > ip.end) return std::nullopt;
  }
  return ip;
}

bool is_icmp_error(const Bytes& frame, const DissectedIp& ip) {
  const auto type = frame[ip.transport];
  if (ip.family == Family::IPv4) {
    return ip.protocol == kIcmp && (type == 3 || type == 11 || type == 12);
  }
  return ip.protocol == kIcmpV6 && type >= 1 && type <= 4;
}

using DissectIp = decltype(&dissect_ipv4);

/// The packet at an offset, with what is there of it up to `end`.
std::optional<Dissected> dissect_at(const Bytes& frame, std::size_t at, std::size_t end,
                                    DissectIp inside) {
  const auto ip = inside(frame, at, end, false);
  if (!ip) return std::nullopt;
  Dissected packet{*ip, std::nullopt};
  if (ip->protocol == kTcp || ip->protocol == kUdp) {
    const std::size_t header = ip->is_later_fragment ? 0 : ip->protocol == kTcp ? 20 : 8;
    return ip->transport + header <= ip->end ? std::optional(packet) : std::nullopt;
  }
  if (ip->is_fragment || ip->transport + 8 > ip->end || !is_icmp_error(frame, *ip)) {
    return std::nullopt;
  }
  packet.quoted = inside(frame, ip->transport + 8, ip->end, true);
  if (!packet.quoted || packet.quoted->is_later_fragment ||
      packet.quoted->transport + 4 > packet.quoted->end) {
    return std::nullopt;
  }
  return packet;
}

}  // namespace

std::optional<Dissected> dissect(const Bytes& frame) {
  std::size_t at = 12;
  for (int tags = 0; tags < 2 && at + 4 <= frame.size(); ++tags) {
    if (word(frame, at) != 0x8100 && word(frame, at) != 0x88a8) break;
    at += 4;
  }
  if (at + 2 > frame.size()) return std::nullopt;
  const auto type = word(frame, at);
  at += 2;
  if (type != 0x0800 && type != 0x86dd) return std::nullopt;
  return dissect_at(frame, at, frame.size(), type == 0x0800 ? dissect_ipv4 : dissect_ipv6);
}

std::optional<DissectedWrapper> dissect_wrapper(const Bytes& frame) {
  if (!is_wrapped(frame)) return std::nullopt;
  const bool ipv4 = word(frame, 12) == 0x0800;
  const auto inside = ipv4 ? dissect_ipv4 : dissect_ipv6;
  const std::size_t header = ipv4 ? 20 : 40;
  const auto outer = inside(frame, 14, frame.size(), false);
  if (!outer || outer->is_fragment || outer->transport != outer->start + header) {
    return std::nullopt;
  }
  const auto inner = dissect_at(frame, outer->transport, outer->end, inside);
  if (!inner) return std::nullopt;
  return DissectedWrapper{*outer, *inner};
}

std::uint16_t sum_of(const Bytes& frame, std::size_t from, std::size_t to, std::uint32_t sum) {
  for (std::size_t i = from; i < to; ++i) {
    sum += (i - from) % 2 == 0 ? frame[i] << 8U : frame[i];
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum == 0 ? 0xffff : sum);
}

std::uint16_t sum_of_header(const Bytes& frame, const DissectedIp& ip) {
  return sum_of(frame, ip.start, ip.transport);
}

std::uint16_t sum_of_transport(const Bytes& frame, const DissectedIp& ip) {
  if (ip.protocol == kUdp && word(frame, ip.transport + 6) == 0) return 0;
  if (ip.protocol == kIcmp) return sum_of(frame, ip.transport, ip.end);
  const auto length = static_cast<std::uint32_t>(ip.end - ip.transport);
  const bool ipv4 = ip.family == Family::IPv4;
  const auto addresses = sum_of(frame, ip.start + (ipv4 ? 12 : 8), ip.start + (ipv4 ? 20 : 40), 0);
  return sum_of(frame, ip.transport, ip.end, addresses + length + ip.protocol);
}

std::vector<std::pair<std::size_t, std::size_t>> translated_bytes(const Dissected& packet) {
  std::vector<std::pair<std::size_t, std::size_t>> bytes;
  const auto add = [&](std::size_t at, std::size_t size) {  // a quotation may be cut off
    if (at + size <= packet.ip.end) bytes.emplace_back(at, at + size);
  };
  const auto add_ip = [&](const DissectedIp& ip) {
    if (ip.family == Family::IPv4) {
      add(ip.start + 8, 1);
      add(ip.start + 10, 10);
    } else {
      add(ip.start + 7, 1);
      add(ip.start + 8, 32);
    }
    if (ip.is_later_fragment) return;
    if (ip.protocol == kTcp || ip.protocol == kUdp) add(ip.transport, 4);
    if (ip.protocol == kTcp) add(ip.transport + 16, 2);
    if (ip.protocol == kUdp) add(ip.transport + 6, 2);
    if (ip.protocol == kIcmp || ip.protocol == kIcmpV6) add(ip.transport + 2, 2);
  };
  add_ip(packet.ip);
  if (packet.quoted) add_ip(*packet.quoted);
  return bytes;
}

}  // namespace topolb::test
