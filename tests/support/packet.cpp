// SPDX-License-Identifier: Apache-2.0
#include "support/packet.h"

#include <algorithm>
#include <iterator>
#include <stdexcept>

#include "support/sockets.h"

namespace topolb::test {
namespace {

constexpr std::size_t kEthernetLength = 14;
constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kIcmpV6 = 58;
constexpr std::uint8_t kFragmentHeader = 44;

void put16(Bytes& bytes, std::uint32_t value) {
  bytes.push_back(static_cast<std::uint8_t>(value >> 8));
  bytes.push_back(static_cast<std::uint8_t>(value));
}

void put32(Bytes& bytes, std::uint32_t value) {
  put16(bytes, value >> 16);
  put16(bytes, value & 0xffff);
}

void put(Bytes& bytes, const Bytes& more) {
  std::copy(more.begin(), more.end(), std::back_inserter(bytes));
}

void set16(Bytes& bytes, std::size_t at, std::uint32_t value) {
  bytes.at(at) = static_cast<std::uint8_t>(value >> 8);
  bytes.at(at + 1) = static_cast<std::uint8_t>(value);
}

std::uint32_t get16(const Bytes& bytes, std::size_t at) {
  return static_cast<std::uint32_t>(bytes.at(at) << 8 | bytes.at(at + 1));
}

std::uint32_t get32(const Bytes& bytes, std::size_t at) {
  return get16(bytes, at) << 16 | get16(bytes, at + 2);
}

Bytes wire(const IpAddress& address) {
  const auto& all = address.bytes();
  return {address.family() == Family::IPv4 ? all.begin() + 12 : all.begin(), all.end()};
}

IpAddress address_at(const Bytes& bytes, std::size_t at, Family family) {
  std::array<std::uint8_t, 16> all{};
  if (family == Family::IPv4) {
    all[10] = all[11] = 0xff;
    for (std::size_t i = 0; i < 4; ++i) all.at(12 + i) = bytes.at(at + i);
  } else {
    for (std::size_t i = 0; i < 16; ++i) all.at(i) = bytes.at(at + i);
  }
  return IpAddress(all);
}

/// The sum of a pseudo header. Source: RFC 9293, 3.1; RFC 8200, 8.1.
std::uint32_t pseudo_sum(const IpAddress& source, const IpAddress& destination,
                         std::uint32_t length, std::uint8_t protocol) {
  std::uint32_t sum = length + protocol;
  for (const auto* address : {&source, &destination}) {
    const Bytes bytes = wire(*address);
    for (std::size_t i = 0; i < bytes.size(); i += 2) sum += get16(bytes, i);
  }
  return sum;
}

Bytes ethernet(Family family, const std::vector<std::uint16_t>& vlan_tags) {
  Bytes bytes;
  put(bytes, kDeviceMac);
  put(bytes, kRouterMac);
  for (std::size_t i = 0; i < vlan_tags.size(); ++i) {
    put16(bytes, i + 1 < vlan_tags.size() ? 0x88a8 : 0x8100);
    put16(bytes, vlan_tags[i]);
  }
  put16(bytes, family == Family::IPv4 ? 0x0800 : 0x86dd);
  return bytes;
}

Bytes ip_header(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
                std::uint8_t ttl, std::size_t length, const Bytes& options = {}) {
  Bytes bytes;
  if (source.family() == Family::IPv4) {
    bytes = {static_cast<std::uint8_t>(0x45 + options.size() / 4), 0};
    put16(bytes, static_cast<std::uint32_t>(20 + options.size() + length));
    put32(bytes, 0);
    put(bytes, {ttl, protocol, 0, 0});
    put(bytes, wire(source));
    put(bytes, wire(destination));
    put(bytes, options);
    set16(bytes, 10, internet_checksum(bytes.data(), bytes.size()));
    return bytes;
  }
  put32(bytes, 0x60000000);
  put16(bytes, static_cast<std::uint32_t>(length));
  put(bytes, {protocol, ttl});
  put(bytes, wire(source));
  put(bytes, wire(destination));
  return bytes;
}

Bytes transport(const PacketSpec& spec, const SocketAddress& source,
                const SocketAddress& destination) {
  Bytes bytes;
  put16(bytes, source.port);
  put16(bytes, destination.port);
  const bool tcp = spec.protocol == Protocol::TCP;
  if (tcp) {
    put32(bytes, spec.sequence);
    put32(bytes, spec.acknowledged);
    put(bytes, {0x50, spec.tcp_flags});
    put16(bytes, 0xffff);
    put32(bytes, 0);
  } else {
    put16(bytes, static_cast<std::uint32_t>(8 + spec.payload.size()));
    put16(bytes, 0);
  }
  put(bytes, {spec.payload.begin(), spec.payload.end()});
  if (!spec.has_checksum) return bytes;
  const auto sum =
      pseudo_sum(source.address, destination.address, static_cast<std::uint32_t>(bytes.size()),
                 static_cast<std::uint8_t>(spec.protocol));
  const auto checksum = internet_checksum(bytes.data(), bytes.size(), sum);
  set16(bytes, tcp ? 16 : 6, checksum == 0 && !tcp ? 0xffff : checksum);
  return bytes;
}

/// Where the IP header begins.
std::size_t ip_offset(const Bytes& frame) {
  std::size_t at = 12;
  while (get16(frame, at) == 0x8100 || get16(frame, at) == 0x88a8) at += 4;
  return at + 2;
}

struct Transport {
  std::size_t offset = 0;
  std::uint8_t protocol = 0;
};

Transport find_transport(const Bytes& bytes, std::size_t ip) {
  if (bytes.at(ip) >> 4 == 4) return {ip + (bytes[ip] & 15U) * 4U, bytes.at(ip + 9)};
  Transport found{ip + 40, bytes.at(ip + 6)};
  while (found.protocol == 0 || found.protocol == 43 || found.protocol == kFragmentHeader ||
         found.protocol == 60) {
    const std::size_t length =
        found.protocol == kFragmentHeader ? 8 : (bytes.at(found.offset + 1) + 1U) * 8U;
    found.protocol = bytes.at(found.offset);
    found.offset += length;
  }
  return found;
}

}  // namespace

std::uint16_t internet_checksum(const std::uint8_t* data, std::size_t size, std::uint32_t sum) {
  for (std::size_t i = 0; i < size; ++i) sum += i % 2 == 0 ? data[i] << 8U : data[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

Bytes build(const PacketSpec& spec) {
  const auto source = socket_address(spec.source);
  const auto destination = socket_address(spec.destination);
  const Family family = source.address.family();
  const Bytes body = transport(spec, source, destination);
  Bytes frame = ethernet(family, spec.vlan_tags);
  const auto protocol = static_cast<std::uint8_t>(spec.protocol);
  put(frame, ip_header(source.address, destination.address,
                       spec.extensions.empty() ? protocol : spec.first_extension, spec.ttl,
                       spec.extensions.size() + body.size(), spec.ip_options));
  put(frame, spec.extensions);
  put(frame, body);
  return frame;
}

Bytes wrap(const Bytes& frame, const std::string& source, const std::string& destination,
           std::uint8_t ttl) {
  const auto from = *IpAddress::parse(source);
  const bool ipv4 = from.family() == Family::IPv4;
  const Bytes inner(frame.begin() + kEthernetLength, frame.end());
  auto header = ip_header(from, *IpAddress::parse(destination), ipv4 ? 4 : 41, ttl, inner.size());
  if (ipv4) {
    set16(header, 6, 0x4000);
    set16(header, 10, 0);
    set16(header, 10, internet_checksum(header.data(), header.size()));
  }
  Bytes bytes(frame.begin(), frame.begin() + kEthernetLength);
  put(bytes, header);
  put(bytes, inner);
  return bytes;
}

bool is_wrapped(const Bytes& frame) {
  return get16(frame, 12) == 0x0800
             ? frame.at(kEthernetLength + 9) == 4
             : get16(frame, 12) == 0x86dd && frame.at(kEthernetLength + 6) == 41;
}

Bytes unwrap(const Bytes& frame) {
  const std::size_t header = get16(frame, 12) == 0x0800 ? 20 : 40;
  Bytes bytes(frame.begin(), frame.begin() + kEthernetLength);
  put(bytes, {frame.begin() + static_cast<std::ptrdiff_t>(kEthernetLength + header), frame.end()});
  return bytes;
}

std::vector<Bytes> fragments_of(const Bytes& frame, std::size_t size,
                                std::uint32_t identification) {
  const std::size_t ip = ip_offset(frame);
  const bool ipv4 = frame.at(ip) >> 4 == 4;
  const std::size_t header_end = find_transport(frame, ip).offset;
  std::vector<Bytes> result;
  for (std::size_t at = header_end; at < frame.size(); at += size) {
    const std::size_t length = std::min(size, frame.size() - at);
    const bool more = at + length < frame.size();
    Bytes piece(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(header_end));
    const auto offset = static_cast<std::uint32_t>(at - header_end);
    if (ipv4) {
      set16(piece, ip + 2, static_cast<std::uint32_t>(header_end - ip + length));
      set16(piece, ip + 4, identification);
      set16(piece, ip + 6, (more ? 0x2000U : 0U) | offset / 8);
      set16(piece, ip + 10, 0);
      set16(piece, ip + 10, internet_checksum(&piece[ip], header_end - ip));
    } else {
      set16(piece, ip + 4, static_cast<std::uint32_t>(8 + length));
      put(piece, {piece[ip + 6], 0});
      piece[ip + 6] = kFragmentHeader;
      put16(piece, offset | (more ? 1U : 0U));
      put32(piece, identification);
    }
    piece.insert(piece.end(), frame.begin() + static_cast<std::ptrdiff_t>(at),
                 frame.begin() + static_cast<std::ptrdiff_t>(at + length));
    result.push_back(std::move(piece));
  }
  return result;
}

Bytes reassemble(const std::vector<Bytes>& frames) {
  const std::size_t ip = ip_offset(frames.at(0));
  const bool ipv4 = frames[0].at(ip) >> 4 == 4;
  const std::size_t header_end = ip + (ipv4 ? (frames[0][ip] & 15U) * 4U : 40U);
  const std::size_t data = ipv4 ? header_end : header_end + 8;
  Bytes body;
  for (const auto& frame : frames) {
    const std::size_t offset =
        ipv4 ? (get16(frame, ip + 6) & 0x1fff) * 8 : get16(frame, header_end + 2) & 0xfff8;
    body.resize(std::max(body.size(), offset + frame.size() - data));
    std::copy(frame.begin() + static_cast<std::ptrdiff_t>(data), frame.end(),
              body.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  Bytes whole(frames[0].begin(), frames[0].begin() + static_cast<std::ptrdiff_t>(header_end));
  if (ipv4) {
    set16(whole, ip + 2, static_cast<std::uint32_t>(header_end - ip + body.size()));
    set16(whole, ip + 6, 0);
    set16(whole, ip + 10, 0);
    set16(whole, ip + 10, internet_checksum(&whole[ip], header_end - ip));
  } else {
    set16(whole, ip + 4, static_cast<std::uint32_t>(body.size()));
    whole[ip + 6] = frames[0].at(header_end);
  }
  put(whole, body);
  return whole;
}

Bytes build_icmp_error(const IcmpErrorSpec& spec) {
  const auto source = *IpAddress::parse(spec.source);
  const auto destination = *IpAddress::parse(spec.destination);
  const bool ipv4 = source.family() == Family::IPv4;
  const std::size_t ip = ip_offset(spec.frame);
  const std::size_t quoted = std::min(spec.embedded, spec.frame.size() - ip);
  Bytes message{spec.type, spec.code, 0, 0};
  put32(message, spec.mtu);
  message.insert(message.end(), spec.frame.begin() + static_cast<std::ptrdiff_t>(ip),
                 spec.frame.begin() + static_cast<std::ptrdiff_t>(ip + quoted));
  const auto length = static_cast<std::uint32_t>(message.size());
  const auto sum = ipv4 ? 0 : pseudo_sum(source, destination, length, kIcmpV6);
  set16(message, 2, internet_checksum(message.data(), message.size(), sum));
  Bytes frame = ethernet(source.family(), {});
  put(frame, ip_header(source, destination, ipv4 ? kIcmp : kIcmpV6, 64, message.size()));
  put(frame, message);
  return frame;
}

namespace {

std::string socket_text(const IpAddress& address, std::uint32_t port) {
  return SocketAddress{address, static_cast<std::uint16_t>(port)}.to_string();
}

void look_at_embedded(const Bytes& frame, std::size_t ip, PacketView& view) {
  const bool ipv4 = frame.at(ip) >> 4 == 4;
  const Family family = ipv4 ? Family::IPv4 : Family::IPv6;
  const auto [at, protocol] = find_transport(frame, ip);
  view.embedded_source =
      socket_text(address_at(frame, ip + (ipv4 ? 12 : 8), family), get16(frame, at));
  view.embedded_destination =
      socket_text(address_at(frame, ip + (ipv4 ? 16 : 24), family), get16(frame, at + 2));
  if (ipv4 && internet_checksum(&frame[ip], at - ip) != 0) view.checksums_right = false;
  if (protocol == 17 && at + get16(frame, at + 4) == frame.size() && get16(frame, at + 6) != 0) {
    const auto source = address_at(frame, ip + (ipv4 ? 12 : 8), family);
    const auto destination = address_at(frame, ip + (ipv4 ? 16 : 24), family);
    const auto length = static_cast<std::uint32_t>(frame.size() - at);
    if (internet_checksum(&frame[at], length, pseudo_sum(source, destination, length, 17)) != 0) {
      view.checksums_right = false;
    }
  }
}

void look_at_transport(const Bytes& frame, std::size_t at, PacketView& view) {
  if (view.protocol == kIcmp || view.protocol == kIcmpV6) {
    view.icmp_type = frame.at(at);
    view.icmp_code = frame.at(at + 1);
    view.mtu = get32(frame, at + 4);
    look_at_embedded(frame, at + 8, view);
    return;
  }
  std::size_t data = at + 8;
  if (view.protocol == 6) {
    view.sequence = get32(frame, at + 4);
    view.acknowledged = get32(frame, at + 8);
    view.tcp_flags = frame.at(at + 13);
    data = at + (frame.at(at + 12) >> 4) * 4U;
  } else {
    view.has_udp_checksum = get16(frame, at + 6) != 0;
  }
  view.payload.assign(frame.begin() + static_cast<std::ptrdiff_t>(data), frame.end());
}

}  // namespace

PacketView look_at(const Bytes& frame) {
  PacketView view;
  const std::size_t ip = ip_offset(frame);
  const bool ipv4 = frame.at(ip) >> 4 == 4;
  const Family family = ipv4 ? Family::IPv4 : Family::IPv6;
  const auto source = address_at(frame, ip + (ipv4 ? 12 : 8), family);
  const auto destination = address_at(frame, ip + (ipv4 ? 16 : 24), family);
  const auto [at, protocol] = find_transport(frame, ip);
  const std::size_t end = ip + (ipv4 ? get16(frame, ip + 2) : 40 + get16(frame, ip + 4));
  if (end != frame.size()) throw std::runtime_error("the IP length is not that of the frame");
  view.is_sent_back = std::equal(kRouterMac.begin(), kRouterMac.end(), frame.begin()) &&
                      std::equal(kDeviceMac.begin(), kDeviceMac.end(), frame.begin() + 6);
  view.protocol = protocol;
  view.ttl = frame.at(ip + (ipv4 ? 8 : 7));
  const bool has_ports = protocol == 6 || protocol == 17;
  view.source = has_ports ? socket_text(source, get16(frame, at)) : source.to_string();
  view.destination =
      has_ports ? socket_text(destination, get16(frame, at + 2)) : destination.to_string();
  const auto length = static_cast<std::uint32_t>(end - at);
  const bool none = protocol == 17 && get16(frame, at + 6) == 0;
  const auto sum = protocol == kIcmp ? 0 : pseudo_sum(source, destination, length, protocol);
  view.checksums_right = (!ipv4 || internet_checksum(&frame[ip], (frame[ip] & 15U) * 4U) == 0) &&
                         (none || internet_checksum(&frame[at], length, sum) == 0);
  look_at_transport(frame, at, view);
  return view;
}

}  // namespace topolb::test
