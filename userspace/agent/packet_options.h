// SPDX-License-Identifier: Apache-2.0
// The flags of the per-packet path.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/packet_path.h"

namespace CLI {
class App;
}

namespace topolb::agent {

/// As written; judged after parsing.
struct PacketTexts {
  std::vector<std::string> devices;
  std::vector<std::string> pod_devices;
  std::vector<std::string> node_ips;
  std::vector<std::string> node_port_addresses{"primary"};
  std::string masquerade_ports;
};

/// `options` and `texts` must outlive the parsing.
void add_packet_flags(CLI::App& app, PacketOptions& options, PacketTexts& texts);
/// Returns what is wrong, by flag.
std::optional<std::string> read_packet_texts(const PacketTexts& texts, PacketOptions& options);

}  // namespace topolb::agent
