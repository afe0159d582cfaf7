// SPDX-License-Identifier: Apache-2.0
// What is wrong with the machine itself: problems of the Node, beside those of users' objects.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/model.h"
#include "dataplane/ephemeral_ports.h"

namespace topolb::agent {

/// NodePorts that the kernel may also give to a connection of the node's own, whose replies would
/// then be taken for packets to the Service. `node_ports` ascend.
std::optional<core::Problem> ephemeral_node_ports(const std::string& node_name,
                                                  const std::vector<std::uint16_t>& node_ports,
                                                  const dataplane::EphemeralPorts& ephemeral);

}  // namespace topolb::agent
