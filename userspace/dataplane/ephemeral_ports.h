// SPDX-License-Identifier: Apache-2.0
// The ports that the kernel of this network namespace gives to sockets that ask for none.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>

#include "util/result.h"

namespace topolb::dataplane {

struct EphemeralPorts {
  std::uint16_t first = 0;  // net.ipv4.ip_local_port_range, inclusive; both families
  std::uint16_t last = 0;
  std::bitset<65536> reserved;  // net.ipv4.ip_local_reserved_ports: never given out

  [[nodiscard]] bool contains(std::uint16_t port) const {
    return port >= first && port <= last && !reserved[port];
  }
};

/// From the texts of the two settings: "32768\t60999" and "30000-32767,40000" (or empty).
Result<EphemeralPorts> parse_ephemeral_ports(const std::string& range, const std::string& reserved);

/// Of this network namespace. Error: /proc/sys is not readable.
Result<EphemeralPorts> read_ephemeral_ports();

}  // namespace topolb::dataplane
