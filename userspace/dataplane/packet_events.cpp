// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet_events.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <array>
#include <numeric>

#include "dataplane/bpf_map.h"

namespace topolb::dataplane {
namespace {

// By TOPOLB_EVENT_*.
constexpr std::array<const char*, TOPOLB_EVENT_COUNT> kNames{
    "flow_opened",        "flow_closed",   "flow_refused", "flow_evicted",
    "unknown_flow",       "backend_gone",  "dropped",      "replied",
    "reply_limited",      "no_route",      "failed",       "flow_without_port",
    "direct_handed_back", "direct_refused"};

}  // namespace

Result<std::vector<PacketEvent>> read_packet_events(int fd) {
  const auto info = map_info(fd, "packet_events");
  if (!info) return info.error();
  if (auto checked =
          check_sizes(*info, "packet_events", sizeof(std::uint32_t), sizeof(std::uint64_t));
      !checked) {
    return checked.error();
  }
  std::vector<std::uint64_t> per_cpu(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  std::vector<PacketEvent> events;
  for (std::uint32_t id = 0; id < kNames.size(); ++id) {
    if (bpf_map_lookup_elem(fd, &id, per_cpu.data()) != 0) continue;
    events.push_back(
        {kNames[id], std::accumulate(per_cpu.begin(), per_cpu.end(), std::uint64_t{0})});
  }
  return events;
}

}  // namespace topolb::dataplane
