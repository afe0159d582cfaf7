// SPDX-License-Identifier: Apache-2.0
// The demo's pod: answers whoever connects, or sends a datagram, with its own name.
#pragma once

#include <cstdint>
#include <string>

#include "util/result.h"

namespace topolb::demo {

/// TCP and UDP, IPv4, on every address of its network namespace. Comes back only on failure.
Error serve(const std::string& name, std::uint16_t port);

}  // namespace topolb::demo
