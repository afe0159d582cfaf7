// SPDX-License-Identifier: Apache-2.0
// Ethernet frames for tests of the per-packet path: built from words, and taken apart with every
// checksum recomputed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "util/ip.h"

namespace topolb::test {

using Bytes = std::vector<std::uint8_t>;

inline constexpr std::uint8_t kFin = 0x01;
inline constexpr std::uint8_t kSyn = 0x02;
inline constexpr std::uint8_t kRst = 0x04;
inline constexpr std::uint8_t kAck = 0x10;

/// The device that gets the frame, and the router that sends it.
inline const Bytes kDeviceMac = {2, 0, 0, 0, 0, 1};
inline const Bytes kRouterMac = {2, 0, 0, 0, 0, 2};

struct PacketSpec {
  std::string source;       // "192.0.2.1:40000", "[2001:db8::1]:40000"
  std::string destination;  // of the same family
  Protocol protocol = Protocol::TCP;
  std::uint8_t tcp_flags = kSyn;
  std::uint32_t sequence = 1000;
  std::uint32_t acknowledged = 0;
  std::uint8_t ttl = 64;
  std::string payload;
  bool has_checksum = true;              // false: UDP over IPv4 without one
  std::vector<std::uint16_t> vlan_tags;  // outer first
  Bytes ip_options;                      // IPv4, a multiple of 4
  Bytes extensions;                      // IPv6, whole headers; the last one names the transport
  std::uint8_t first_extension = 0;      // the type of the first of them
};

Bytes build(const PacketSpec& spec);

/// The frame as IP fragments of at most `size` payload bytes (a multiple of 8).
std::vector<Bytes> fragments_of(const Bytes& frame, std::size_t size, std::uint32_t identification);
/// The frame that fragments, in any order, came from.
Bytes reassemble(const std::vector<Bytes>& frames);

/// An ICMP or ICMPv6 error about `frame`, of which all, or `embedded` bytes, are quoted.
struct IcmpErrorSpec {
  std::string source;  // addresses without port
  std::string destination;
  std::uint8_t type = 3;
  std::uint8_t code = 3;
  std::uint32_t mtu = 0;
  Bytes frame;
  std::size_t embedded = 1000;
};
Bytes build_icmp_error(const IcmpErrorSpec& spec);

/// The frame in an IP packet of the same family (RFC 2003, RFC 2473) as nodes send it: not to be
/// fragmented. @pre no VLAN tags, type of service 0.
Bytes wrap(const Bytes& frame, const std::string& source, const std::string& destination,
           std::uint8_t ttl = 64);
/// Whether the frame is such a packet, by its protocol.
bool is_wrapped(const Bytes& frame);
/// What wrap() was given.
Bytes unwrap(const Bytes& frame);

/// What a frame says.
struct PacketView {
  std::string source;  // with port if it has one
  std::string destination;
  int protocol = 0;
  int ttl = 0;
  std::uint8_t tcp_flags = 0;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledged = 0;
  std::string payload;
  std::uint8_t icmp_type = 0;
  std::uint8_t icmp_code = 0;
  std::uint32_t mtu = 0;
  std::string embedded_source;  // of an ICMP error
  std::string embedded_destination;
  bool checksums_right = false;  // of every header that has one, embedded IPv4 header included
  bool has_udp_checksum = false;
  bool is_sent_back = false;  // addressed to the router that the frame came from
};
/// Throws on what is no whole packet of those above.
PacketView look_at(const Bytes& frame);

/// RFC 1071 over `size` bytes, with a sum to begin with; 0 over data that holds its checksum.
std::uint16_t internet_checksum(const std::uint8_t* data, std::size_t size, std::uint32_t sum = 0);

}  // namespace topolb::test
