// SPDX-License-Identifier: Apache-2.0
// A frame taken apart by the RFCs, however malformed: what of it is whole, and what its checksums
// sum up to. Written without a look at the BPF programs, which it judges.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "support/packet.h"

namespace topolb::test {

/// An IP header (of a frame, or of what an ICMP error quotes) and what is behind it.
struct DissectedIp {
  std::size_t start = 0;      // of the header
  std::size_t transport = 0;  // behind options and extension headers
  std::size_t end = 0;        // by the length in the header; of a quotation, where that ends
  Family family = Family::IPv4;
  std::uint8_t protocol = 0;
  bool is_fragment = false;
  bool is_later_fragment = false;  // then it has no transport header
  IpAddress source;
  IpAddress destination;
};

struct Dissected {
  DissectedIp ip;
  std::optional<DissectedIp> quoted;  // of an ICMP error
};

/// None: no IP packet that a host or router would look into: no IP, a header or length that goes
/// beyond the frame, extension headers or a transport header that go beyond the IP length, an ICMP
/// error that does not quote the ports; or neither TCP, UDP nor an ICMP error.
std::optional<Dissected> dissect(const Bytes& frame);

/// A packet in another one of the same family (RFC 2003, RFC 2473).
struct DissectedWrapper {
  DissectedIp outer;
  Dissected inner;
};

/// None: no wrapper without tags, options and extension headers that is whole and no fragment, or
/// in it, and no longer than it, nothing that dissect() takes apart.
std::optional<DissectedWrapper> dissect_wrapper(const Bytes& frame);

/// Bytes [from, to) of the frame as one's complement sum, in which a right checksum makes 0xffff
/// of what it covers. Never 0.
std::uint16_t sum_of(const Bytes& frame, std::size_t from, std::size_t to, std::uint32_t sum = 0);
/// The same of an IPv4 header, with its checksum.
std::uint16_t sum_of_header(const Bytes& frame, const DissectedIp& ip);
/// The same of TCP, UDP or ICMP from its header to the end, with the pseudo header. Of UDP without
/// checksum 0.
std::uint16_t sum_of_transport(const Bytes& frame, const DissectedIp& ip);

/// The bytes that a translation may change, as [from, to): addresses, ports, TTL, checksums.
std::vector<std::pair<std::size_t, std::size_t>> translated_bytes(const Dissected& packet);

}  // namespace topolb::test
