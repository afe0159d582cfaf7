// SPDX-License-Identifier: Apache-2.0
#include "dataplane/masquerades.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bitset>
#include <iterator>
#include <optional>

#include "dataplane/grace_period.h"
#include "dataplane/kernel_state.h"

namespace topolb::dataplane {
namespace {

using MasqueradeRows = std::bitset<TOPOLB_MASQUERADES>;

std::size_t index_of(Family family) { return family == Family::IPv4 ? TOPOLB_IPV4 : TOPOLB_IPV6; }

bool is_free_masquerade(const topolb_address& row) { return from_wire(row).is_unspecified(); }

std::uint64_t bit_of(const topolb_address& address) {
  return topolb_masquerade_bit(address.bytes[sizeof(address.bytes) - 1]);
}

void set_masquerade_bits(topolb_settings& settings, std::uint64_t bits) {
  std::atomic_ref(settings.masquerade_bits).store(bits, std::memory_order_seq_cst);
}

// The row of an address, which it has had before or gets now. None: all rows are taken.
std::optional<std::uint8_t> masquerade_row(topolb_settings& settings, const IpAddress& address) {
  auto* const first = std::next(std::begin(settings.masquerades));
  auto* const end = std::end(settings.masquerades);
  auto* at = std::find_if(first, end, [&](const auto& row) { return from_wire(row) == address; });
  if (at == end) at = std::find_if(first, end, is_free_masquerade);
  if (at == end) return std::nullopt;
  *at = to_wire(address);
  set_masquerade_bits(settings, settings.masquerade_bits | bit_of(*at));
  return static_cast<std::uint8_t>(std::distance(std::begin(settings.masquerades), at));
}

// Rows of addresses that neither the node has nor a new flow gets.
MasqueradeRows lost_masquerades(const topolb_settings& settings, const NodeAddresses& addresses) {
  MasqueradeRows lost;
  for (std::size_t row = 1; row < lost.size(); ++row) {
    const auto& address = settings.masquerades[row];
    lost[row] = !is_free_masquerade(address) && !addresses.contains(from_wire(address));
  }
  for (const auto row : settings.node_masquerades) lost[row] = false;
  for (const auto& device : settings.masquerade_devices) {
    for (const auto row : device.rows) lost[row] = false;
  }
  return lost;
}

bool has_address(std::uint32_t device, const IpAddress& address,
                 const std::vector<NodeAddress>& addresses) {
  return std::any_of(addresses.begin(), addresses.end(), [&](const auto& at) {
    return at.interface_index == device && at.address == address;
  });
}

// The address that new flows by a device get; none: the node's.
std::optional<IpAddress> device_masquerade(const topolb_settings& settings, std::uint32_t device,
                                           Family family,
                                           const std::vector<NodeAddress>& addresses) {
  if (has_address(device, from_wire(chosen_masquerade(settings, family)), addresses)) {
    return std::nullopt;
  }
  for (const auto& before : settings.masquerade_devices) {
    const auto row = before.rows[index_of(family)];
    if (before.interface_index != device || row == 0) continue;
    const auto address = from_wire(settings.masquerades[row]);
    if (has_address(device, address, addresses)) return address;
  }
  const auto first = std::find_if(addresses.begin(), addresses.end(), [&](const auto& at) {
    return at.interface_index == device && at.address.family() == family;
  });
  return first == addresses.end() ? std::nullopt : std::optional(first->address);
}

Error no_row_for(const IpAddress& address) {
  return make_error(fmt::format("no room for {} beside {} addresses that flows come from",
                                address.to_string(), TOPOLB_MASQUERADES - 1));
}

}  // namespace

Result<void> choose_masquerades(topolb_settings& settings, const PrimaryAddresses& node) {
  Result<void> outcome;
  const auto choose = [&](Family family, const std::optional<IpAddress>& address) {
    auto row = address ? masquerade_row(settings, *address) : std::uint8_t{0};
    if (row) {
      std::atomic_ref(settings.node_masquerades[index_of(family)])
          .store(*row, std::memory_order_release);
    } else {
      outcome = no_row_for(*address);
    }
  };
  choose(Family::IPv4, node.ipv4);
  choose(Family::IPv6, node.ipv6);
  return outcome;
}

void choose_node_port_rows(topolb_settings& settings,
                           const std::function<bool(const IpAddress&)>& answers_node_ports) {
  for (const auto family : {Family::IPv4, Family::IPv6}) {
    const bool answers = answers_node_ports(from_wire(chosen_masquerade(settings, family)));
    std::atomic_ref(settings.node_port_rows[index_of(family)])
        .store(answers ? settings.node_masquerades[index_of(family)] : std::uint8_t{0},
               std::memory_order_release);
  }
}

Result<void> choose_device_masquerades(topolb_settings& settings,
                                       const std::vector<std::uint32_t>& devices,
                                       const std::vector<NodeAddress>& addresses) {
  Result<void> outcome;
  std::vector<topolb_masquerade_device> chosen;
  for (const auto index : devices) {
    topolb_masquerade_device device{.interface_index = index, .rows = {}, .pad = {}};
    for (const auto family : {Family::IPv4, Family::IPv6}) {
      const auto address = device_masquerade(settings, index, family, addresses);
      if (!address) continue;
      const auto row = masquerade_row(settings, *address);
      device.rows[index_of(family)] = row.value_or(0);
      if (!row) outcome = no_row_for(*address);
    }
    const bool says_something = device.rows[TOPOLB_IPV4] != 0 || device.rows[TOPOLB_IPV6] != 0;
    if (says_something && chosen.size() < TOPOLB_MASQUERADE_DEVICES) chosen.push_back(device);
  }
  const auto count = static_cast<std::uint8_t>(chosen.size());
  chosen.resize(TOPOLB_MASQUERADE_DEVICES);
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    std::atomic_ref(settings.masquerade_devices[i]).store(chosen[i], std::memory_order_release);
  }
  std::atomic_ref(settings.masquerade_device_count).store(count, std::memory_order_release);
  return outcome;
}

const topolb_address& chosen_masquerade(const topolb_settings& settings, Family family) {
  return settings.masquerades[settings.node_masquerades[index_of(family)]];
}

void copy_masquerades(const topolb_settings& from, topolb_settings& to) {
  std::copy(std::begin(from.masquerades), std::end(from.masquerades), std::begin(to.masquerades));
  std::copy(std::begin(from.node_masquerades), std::end(from.node_masquerades),
            std::begin(to.node_masquerades));
  std::copy(std::begin(from.node_port_rows), std::end(from.node_port_rows),
            std::begin(to.node_port_rows));
  std::copy(std::begin(from.masquerade_devices), std::end(from.masquerade_devices),
            std::begin(to.masquerade_devices));
  to.masquerade_device_count = from.masquerade_device_count;
  to.masquerade_bits = from.masquerade_bits;
}

void release_lost_masquerades(topolb_settings& settings, const NodeAddresses& addresses,
                              FlowTable& flows) {
  const auto lost = lost_masquerades(settings, addresses);
  if (lost.none()) return;
  wait_for_running_programs();  // they may have chosen such a row before
  auto freed = lost;
  flows.for_each([&](std::uint32_t id, const topolb_flow& flow) {
    if ((flow.state & TOPOLB_FLOW_MASQUERADED) == 0 || !lost[flow.masquerade]) return;
    freed[flow.masquerade] = false;
    (void)flows.remove(id, flow);
  });
  std::uint64_t bits = 0;
  for (std::size_t row = 1; row < lost.size(); ++row) {
    auto& address = settings.masquerades[row];
    if (freed[row]) address = to_wire(IpAddress());
    if (!is_free_masquerade(address)) bits |= bit_of(address);
  }
  set_masquerade_bits(settings, bits);
}

}  // namespace topolb::dataplane
