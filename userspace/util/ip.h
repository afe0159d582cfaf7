// SPDX-License-Identifier: Apache-2.0
// IP addresses, protocols and sockets' addresses as strong types.
#pragma once

#include <endian.h>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace topolb {

enum class Family : std::uint8_t { IPv4 = 4, IPv6 = 6 };
enum class Protocol : std::uint8_t { TCP = 6, UDP = 17, SCTP = 132 };  // IPPROTO_*

std::string_view to_string(Family family);      // "IPv4", "IPv6"
std::string_view to_string(Protocol protocol);  // "TCP", "UDP", "SCTP"
/// Exactly "TCP", "UDP" or "SCTP"; anything else is none.
std::optional<Protocol> parse_protocol(std::string_view text);

/// 16 bytes in network order; IPv4 is v4-mapped (::ffff:a.b.c.d), as in maps/layout.h.
/// Ordered by bytes, so every IPv4 address sorts together.
class IpAddress {
 public:
  IpAddress() = default;  // ::
  explicit IpAddress(const std::array<std::uint8_t, 16>& bytes) : bytes_(bytes) {}

  /// Dotted quad (leading zeros are decimal, as Kubernetes' ParseIPSloppy reads
  /// them) or IPv6 text without zone; "::ffff:1.2.3.4" is the IPv4 address.
  static std::optional<IpAddress> parse(std::string_view text);
  /// 0.0.0.0 or ::
  static IpAddress unspecified(Family family);

  [[nodiscard]] Family family() const {
    return number_at(0) == 0 && number_at(8) >> 32U == 0xffff ? Family::IPv4 : Family::IPv6;
  }
  [[nodiscard]] bool is_unspecified() const;
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  /// RFC 5952 for IPv6.
  [[nodiscard]] std::string to_string() const;

  bool operator==(const IpAddress&) const = default;
  /// Inline, and not byte by byte: lists of thousands are merged by it at every change.
  std::strong_ordering operator<=>(const IpAddress& other) const {
    const auto order = number_at(0) <=> other.number_at(0);
    return order != 0 ? order : number_at(8) <=> other.number_at(8);
  }

 private:
  [[nodiscard]] std::uint64_t number_at(std::size_t byte) const {
    std::uint64_t number = 0;
    std::memcpy(&number, &bytes_[byte], sizeof(number));
    return be64toh(number);
  }

  std::array<std::uint8_t, 16> bytes_{};
};

/// The addresses that share their first bits with one, "10.0.0.0/8".
struct IpPrefix {
  IpAddress address;      // the bits behind the prefix are 0
  std::uint8_t bits = 0;  // as written: at most 32 for IPv4, 128 for IPv6

  /// "ADDRESS/BITS"; the bits of the address behind the prefix don't count.
  static std::optional<IpPrefix> parse(std::string_view text);
  [[nodiscard]] bool contains(const IpAddress& other) const;
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const IpPrefix&) const = default;
};

/// Address and port; the port in host order.
struct SocketAddress {
  IpAddress address;
  std::uint16_t port = 0;

  /// "10.1.0.5:8080", "[2001:db8::1]:8080"
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const SocketAddress&) const = default;
};

}  // namespace topolb

template <>
struct std::hash<topolb::IpAddress> {
  std::size_t operator()(const topolb::IpAddress& address) const noexcept;
};
template <>
struct std::hash<topolb::SocketAddress> {
  std::size_t operator()(const topolb::SocketAddress& address) const noexcept;
};
