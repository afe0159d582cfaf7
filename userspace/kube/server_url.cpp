// SPDX-License-Identifier: Apache-2.0
#include "kube/server_url.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "util/ip.h"

namespace topolb::kube {
namespace {

constexpr unsigned kMappedPrefix = 96;  // of an IPv4 address in the 16-byte form

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string lower(std::string_view text) {
  std::string lowered(text);
  std::ranges::transform(lowered, lowered.begin(), [](char character) {
    return character >= 'A' && character <= 'Z' ? static_cast<char>(character - 'A' + 'a')
                                                : character;
  });
  return lowered;
}

/// "host", "host:port", "[v6]:port" or a bare IPv6 address. `ret_port` stays as it is without one.
bool split_host(std::string_view authority, std::string& ret_host, std::uint16_t& ret_port) {
  std::string_view port;
  if (authority.starts_with('[')) {
    const auto close = authority.find(']');
    if (close == std::string_view::npos) return false;
    ret_host = lower(authority.substr(1, close - 1));
    if (!IpAddress::parse(ret_host)) return false;
    authority.remove_prefix(close + 1);
    if (authority.empty()) return true;
    if (!authority.starts_with(':')) return false;
    port = authority.substr(1);
  } else if (std::ranges::count(authority, ':') > 1) {
    ret_host = lower(authority);
    return IpAddress::parse(authority).has_value();
  } else {
    const auto colon = authority.find(':');
    ret_host = lower(authority.substr(0, colon));
    if (colon == std::string_view::npos) return !ret_host.empty();
    port = authority.substr(colon + 1);
  }
  const auto number = parse_number<std::uint16_t>(port);
  if (!number || *number == 0) return false;
  ret_port = *number;
  return !ret_host.empty();
}

bool in_network(const IpAddress& address, std::string_view cidr) {
  const auto slash = cidr.find('/');
  const auto network = IpAddress::parse(cidr.substr(0, slash));
  auto length = parse_number<unsigned>(cidr.substr(slash + 1));
  if (!network || !length || network->family() != address.family()) return false;
  if (network->family() == Family::IPv4) *length += kMappedPrefix;
  if (*length > 128) return false;
  for (unsigned bit = 0; bit < *length; ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80U >> (bit % 8));
    if (((address.bytes()[bit / 8] ^ network->bytes()[bit / 8]) & mask) != 0) return false;
  }
  return true;
}

bool matches(const ServerUrl& url, std::string_view entry) {
  if (entry == "*") return true;
  const auto address = IpAddress::parse(url.host);
  if (entry.find('/') != std::string_view::npos) return address && in_network(*address, entry);
  std::string host;
  std::uint16_t port = 0;
  if (!split_host(entry, host, port) || (port != 0 && port != url.port)) return false;
  if (address) return IpAddress::parse(host) == address;
  if (host.starts_with("*.")) host.erase(0, 1);
  if (host.starts_with('.')) return url.host.ends_with(host);
  return url.host == host || url.host.ends_with("." + host);
}

}  // namespace

bool ServerUrl::is_address() const { return IpAddress::parse(host).has_value(); }

bool ServerUrl::is_loopback() const {
  const auto address = IpAddress::parse(host);
  if (!address) return host == "localhost";
  return in_network(*address, "127.0.0.0/8") || in_network(*address, "::1/128");
}

Result<ServerUrl> parse_server_url(const std::string& url) {
  const auto wrong = [&url](const char* what) {
    return make_error(fmt::format("API server URL '{}': {}", url, what));
  };
  std::string_view rest = url;
  ServerUrl parts;
  if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
    parts.https = false;
    parts.port = 80;
  } else {
    return wrong("must begin with https:// or http://");
  }
  const std::string_view authority = rest.substr(0, rest.find('/'));
  if (authority.find('@') != std::string_view::npos) return wrong("must not hold a user");
  if (rest.find_first_of("?# \t\r\n") != std::string_view::npos) {
    return wrong("must be scheme, host, port and path only");
  }
  if (!split_host(authority, parts.host, parts.port)) return wrong("host or port is wrong");
  parts.path = rest.substr(authority.size());
  return parts;
}

bool is_excluded(const ServerUrl& url, std::string_view no_proxy) {
  while (!no_proxy.empty()) {
    const auto comma = no_proxy.find(',');
    std::string_view entry = no_proxy.substr(0, comma);
    no_proxy.remove_prefix(comma == std::string_view::npos ? no_proxy.size() : comma + 1);
    while (entry.starts_with(' ')) entry.remove_prefix(1);
    while (entry.ends_with(' ')) entry.remove_suffix(1);
    if (!entry.empty() && matches(url, entry)) return true;
  }
  return false;
}

}  // namespace topolb::kube
