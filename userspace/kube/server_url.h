// SPDX-License-Identifier: Apache-2.0
// The parts of an API server's URL, and NO_PROXY. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "util/result.h"

namespace topolb::kube {

struct ServerUrl {
  bool https = true;
  std::string host;  // lower case, without brackets
  std::uint16_t port = 443;
  std::string path;  // "" or "/..."

  [[nodiscard]] bool is_address() const;
  /// 127.0.0.0/8, ::1, localhost.
  [[nodiscard]] bool is_loopback() const;
};

/// Error: one line with the URL and what is wrong with it.
Result<ServerUrl> parse_server_url(const std::string& url);

/// Whether an entry of `no_proxy`, a comma-separated list, matches: `*`, a host (and the domains
/// below it; with a leading dot only those), an address, a CIDR, each with an optional port.
bool is_excluded(const ServerUrl& url, std::string_view no_proxy);

}  // namespace topolb::kube
