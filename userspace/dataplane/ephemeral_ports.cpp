// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ephemeral_ports.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>

namespace topolb::dataplane {
namespace {

constexpr const char* kRangeFile = "/proc/sys/net/ipv4/ip_local_port_range";
constexpr const char* kReservedFile = "/proc/sys/net/ipv4/ip_local_reserved_ports";

Result<std::string> first_line_of(const char* path) {
  std::ifstream file(path);
  if (!file) return errno_error(errno, std::string("read ") + path);
  std::string line;
  std::getline(file, line);  // an empty file is an empty setting
  return line;
}

}  // namespace

Result<EphemeralPorts> parse_ephemeral_ports(const std::string& range,
                                             const std::string& reserved) {
  EphemeralPorts ports;
  if (!(std::istringstream(range) >> ports.first >> ports.last) || ports.first > ports.last) {
    return make_error("\"" + range + "\" is no range of ports");
  }
  std::istringstream list(reserved);
  for (std::string entry; std::getline(list, entry, ',');) {
    std::istringstream fields(entry);
    std::uint16_t first = 0;
    std::uint16_t last = 0;
    char dash = 0;
    if (!(fields >> first)) return make_error("\"" + reserved + "\" is no list of ports");
    if (!(fields >> dash >> last)) last = first;
    for (unsigned port = first; port <= last; ++port) ports.reserved.set(port);
  }
  return ports;
}

Result<EphemeralPorts> read_ephemeral_ports() {
  const auto range = first_line_of(kRangeFile);
  if (!range) return range.error();
  const auto reserved = first_line_of(kReservedFile);
  return parse_ephemeral_ports(*range, reserved ? *reserved : std::string());
}

}  // namespace topolb::dataplane
