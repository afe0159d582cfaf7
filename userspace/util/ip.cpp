// SPDX-License-Identifier: Apache-2.0
#include "util/ip.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace topolb {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// Kubernetes reads "010.1.2.3" as decimal 10.1.2.3, where inet_pton refuses it.
std::optional<IpAddress> parse_ipv4(std::string_view text) {
  std::array<std::uint8_t, 16> bytes{};
  std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), bytes.begin());
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::size_t i = 12; i < 16; ++i) {
    if (i > 12 && (at == end || *at++ != '.')) return std::nullopt;
    const auto [next, failed] = std::from_chars(at, end, bytes[i]);
    if (failed != std::errc{} || next == at) return std::nullopt;
    at = next;
  }
  if (at != end) return std::nullopt;
  return IpAddress(bytes);
}

std::size_t full_length(Family family) { return family == Family::IPv4 ? 32 : 128; }

// The first `bits` of 128 stay.
IpAddress masked(const IpAddress& address, std::size_t bits) {
  auto bytes = address.bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t kept = bits > i * 8 ? std::min<std::size_t>(bits - i * 8, 8) : 0;
    bytes[i] &= static_cast<std::uint8_t>(0xff00U >> kept);
  }
  return IpAddress(bytes);
}

std::size_t hash_bytes(const std::array<std::uint8_t, 16>& bytes) {
  return std::hash<std::string_view>{}(
      std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

}  // namespace

std::string_view to_string(Family family) { return family == Family::IPv4 ? "IPv4" : "IPv6"; }

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::TCP:
      return "TCP";
    case Protocol::UDP:
      return "UDP";
    case Protocol::SCTP:
      return "SCTP";
  }
  return "?";
}

std::optional<Protocol> parse_protocol(std::string_view text) {
  for (const auto protocol : {Protocol::TCP, Protocol::UDP, Protocol::SCTP}) {
    if (text == to_string(protocol)) return protocol;
  }
  return std::nullopt;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.find(':') == std::string_view::npos) return parse_ipv4(text);
  if (text.find('\0') != std::string_view::npos) return std::nullopt;  // inet_pton would stop there
  std::array<std::uint8_t, 16> bytes{};
  if (::inet_pton(AF_INET6, std::string(text).c_str(), bytes.data()) != 1) return std::nullopt;
  return IpAddress(bytes);
}

IpAddress IpAddress::unspecified(Family family) {
  IpAddress address;
  if (family == Family::IPv4) {
    std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), address.bytes_.begin());
  }
  return address;
}

bool IpAddress::is_unspecified() const { return *this == unspecified(family()); }

std::string IpAddress::to_string() const {
  // inet_ntop writes ::1.2.3.4 for these, RFC 5952 and Kubernetes ::102:304.
  const bool compatible =
      std::all_of(bytes_.begin(), bytes_.begin() + 12, [](auto byte) { return byte == 0; });
  if (compatible && (bytes_[12] != 0 || bytes_[13] != 0)) {
    return fmt::format("::{:x}:{:x}", bytes_[12] << 8 | bytes_[13], bytes_[14] << 8 | bytes_[15]);
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (family() == Family::IPv4) {
    ::inet_ntop(AF_INET, bytes_.data() + kMappedPrefix.size(), text.data(), text.size());
  } else {
    ::inet_ntop(AF_INET6, bytes_.data(), text.data(), text.size());
  }
  return text.data();
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = IpAddress::parse(text.substr(0, slash));
  const char* const end = text.data() + text.size();
  std::size_t bits = 0;
  const auto [at, failed] = std::from_chars(text.data() + slash + 1, end, bits);
  if (!address || failed != std::errc{} || at != end) return std::nullopt;
  const auto length = full_length(address->family());
  if (bits > length) return std::nullopt;
  return IpPrefix{masked(*address, 128 - length + bits), static_cast<std::uint8_t>(bits)};
}

bool IpPrefix::contains(const IpAddress& other) const {
  const auto length = full_length(address.family());
  return other.family() == address.family() && masked(other, 128 - length + bits) == address;
}

std::string IpPrefix::to_string() const { return fmt::format("{}/{}", address.to_string(), bits); }

std::string SocketAddress::to_string() const {
  return address.family() == Family::IPv4 ? fmt::format("{}:{}", address.to_string(), port)
                                          : fmt::format("[{}]:{}", address.to_string(), port);
}

}  // namespace topolb

std::size_t std::hash<topolb::IpAddress>::operator()(
    const topolb::IpAddress& address) const noexcept {
  return topolb::hash_bytes(address.bytes());
}

std::size_t std::hash<topolb::SocketAddress>::operator()(
    const topolb::SocketAddress& socket_address) const noexcept {
  return topolb::hash_bytes(socket_address.address.bytes()) * 31 + socket_address.port;
}
