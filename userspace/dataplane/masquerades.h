// SPDX-License-Identifier: Apache-2.0
// The addresses that masqueraded flows have as their source: rows of settings.masquerades. A flow
// names its row, so that it keeps its address when new flows get another one
// (docs/decisions/0048). Not thread-safe; programs read meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "dataplane/flow_table.h"
#include "dataplane/node_addresses.h"
#include "dataplane/node_network.h"
#include "maps/layout.h"
#include "util/result.h"

namespace topolb::dataplane {

/// New flows get these from now on, if the device by which they leave says nothing else. Error: all
/// rows are taken by addresses that the node still has; what finds no row stays as it was.
Result<void> choose_masquerades(topolb_settings& settings, const PrimaryAddresses& node);

/// From now on programs take those of the node's addresses, as chosen above, for ones that
/// NodePorts answer on, without a look into node_addresses. After each choose_masquerades(), so
/// that they are among those that release_lost_masquerades() leaves alone.
void choose_node_port_rows(topolb_settings& settings,
                           const std::function<bool(const IpAddress&)>& answers_node_ports);

/// By devices of these indices, new flows get the device's own address from now on: that which they
/// have got until now, if it still has that, else its first one. One that has the node's own, which
/// they get anyway, and one too many says nothing. The same error.
Result<void> choose_device_masquerades(topolb_settings& settings,
                                       const std::vector<std::uint32_t>& devices,
                                       const std::vector<NodeAddress>& addresses);

/// The address of the row that new flows take; unspecified: they get none.
const topolb_address& chosen_masquerade(const topolb_settings& settings, Family family);

/// Takes over the rows, and which of them new flows get.
void copy_masquerades(const topolb_settings& from, topolb_settings& to);

/// Ends the flows of addresses that the node has lost, as no reply comes to them any more, and by a
/// later call frees their rows. `flows`: the table of all programs that are attached.
void release_lost_masquerades(topolb_settings& settings, const NodeAddresses& addresses,
                              FlowTable& flows);

}  // namespace topolb::dataplane
