// SPDX-License-Identifier: Apache-2.0
// What a client dials: the key of one frontend in the kernel. Private to core.
#pragma once

#include <compare>
#include <cstddef>
#include <functional>

#include "util/ip.h"

namespace topolb::core {

struct FrontendAddress {
  SocketAddress socket_address;
  Protocol protocol = Protocol::TCP;
  auto operator<=>(const FrontendAddress&) const = default;
};

}  // namespace topolb::core

template <>
struct std::hash<topolb::core::FrontendAddress> {
  std::size_t operator()(const topolb::core::FrontendAddress& address) const noexcept {
    return std::hash<topolb::SocketAddress>{}(address.socket_address) * 31 +
           static_cast<std::size_t>(address.protocol);
  }
};
