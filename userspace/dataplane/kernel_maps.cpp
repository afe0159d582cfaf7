// SPDX-License-Identifier: Apache-2.0
#include "dataplane/kernel_maps.h"

#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <random>

#include "dataplane/frontend_table.h"

namespace topolb::dataplane {
namespace {

template <typename Key, typename Value>
Result<HashMap<Key, Value>> open_map(HashMap<Key, Value>*, UniqueFd fd, const std::string& name,
                                     Access) {
  return HashMap<Key, Value>::from_fd(std::move(fd), name);
}

template <typename Row>
Result<MappedArray<Row>> open_map(MappedArray<Row>*, UniqueFd fd, const std::string& name,
                                  Access access) {
  return MappedArray<Row>::from_fd(std::move(fd), name, access);
}

Result<Counters> open_map(Counters*, UniqueFd fd, const std::string&, Access access) {
  return Counters::from_fd(std::move(fd), access);
}

std::uint32_t possible_cpus() {
  return static_cast<std::uint32_t>(std::max(libbpf_num_possible_cpus(), 1));
}

}  // namespace

Result<Counters> Counters::from_fd(UniqueFd fd, Access access) {
  auto rows = MappedArray<topolb_counter>::from_fd(std::move(fd), "counters", access);
  if (!rows) return rows.error();
  Counters counters;
  counters.rows_ = std::move(*rows);
  counters.cpus_ = possible_cpus();
  return counters;
}

std::uint32_t Counters::rows_for(std::uint32_t count) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::min(std::uint64_t{count} * possible_cpus(), kMost));
}

std::uint32_t Counters::per_cpu(std::uint32_t rows) { return rows / possible_cpus(); }

std::vector<std::uint64_t> Counters::read(std::uint32_t first, std::uint32_t count) const {
  std::vector<std::uint64_t> sums(count);
  if (first + count > capacity()) return sums;
  for (std::uint32_t cpu = 0; cpu < cpus_; ++cpu) {
    for (std::uint32_t i = 0; i < count; ++i) {
      sums[i] += rows_[cpu * capacity() + first + i].connections;
    }
  }
  return sums;
}

void Counters::reset(std::uint32_t first, std::uint32_t count) {
  for (std::uint32_t cpu = 0; cpu < cpus_; ++cpu) {
    for (std::uint32_t i = 0; i < count; ++i) rows_[cpu * capacity() + first + i] = {};
  }
}

std::vector<std::uint64_t> Counters::values() const {
  std::vector<std::uint64_t> values(std::size_t{cpus_} * capacity());
  const auto rows = rows_.rows().first(values.size());
  std::transform(rows.begin(), rows.end(), values.begin(),
                 [](const topolb_counter& counter) { return counter.connections; });
  return values;
}

void Counters::add(const std::vector<std::uint64_t>& known, const std::vector<std::uint64_t>& now) {
  const auto count = now.size() / cpus_;
  for (std::size_t at = 0; at < now.size(); ++at) {
    if (now[at] == known[at]) continue;
    const auto row = at / count * capacity() + at % count;
    std::atomic_ref(rows_[static_cast<std::uint32_t>(row)].connections)
        .fetch_add(now[at] - known[at], std::memory_order_relaxed);
  }
}

void KernelMaps::initialize() {
  topolb_settings& row = settings[0];
  std::random_device random;
  row.frontend_seed = static_cast<std::uint64_t>(random()) << 32U | random();
  row.node_port_min = 1;  // no NodePort yet
  row.node_port_max = 0;
  row.layout_version = TOPOLB_LAYOUT_VERSION;
}

Result<KernelMaps> KernelMaps::open(
    const std::function<Result<UniqueFd>(const std::string&)>& open_fd, Access access) {
  KernelMaps maps;
  Result<void> outcome;
  const auto open_one = [&](auto& map, const std::string& name) {
    if (!outcome) return;
    auto fd = open_fd(name);
    if (!fd) {
      outcome = fd.error();
      return;
    }
    auto opened = open_map(&map, std::move(*fd), name, access);
    if (!opened) {
      outcome = opened.error();
      return;
    }
    map = std::move(*opened);
  };
  open_one(maps.settings, "settings");
  open_one(maps.frontends, "frontends");
  open_one(maps.sets, "sets");
  open_one(maps.slots, "slots");
  open_one(maps.backends, "backends");
  open_one(maps.affinities, "affinities");
  open_one(maps.peers, "peers");
  open_one(maps.counters, "counters");
  open_one(maps.node_addresses, "node_addresses");
  open_one(maps.source_ranges, "source_ranges");
  open_one(maps.service_names, "service_names");
  open_one(maps.topology_keys, "topology_keys");
  if (!outcome) return outcome.error();
  return maps;
}

Result<KernelMaps> KernelMaps::open_pinned(const std::string& pin_path, Access access) {
  auto pins = open_pins(pin_path, pinned_map_names());
  if (!pins) {
    if (pins.error().code == std::errc::no_such_file_or_directory) {
      return Error{
          {}, fmt::format("nothing of topolb is pinned at {}: no agent has run there", pin_path)};
    }
    return pins.error();
  }
  auto maps =
      open([&](const std::string& name) -> Result<UniqueFd> { return std::move(pins->at(name)); },
           access);
  if (!maps) return maps.error();
  const auto version = maps->settings[0].layout_version;
  if (version != TOPOLB_LAYOUT_VERSION) {
    return Error{{},
                 fmt::format("the maps at {} have layout version {}, this program knows {}",
                             pin_path, version, TOPOLB_LAYOUT_VERSION)};
  }
  return maps;
}

const std::vector<std::string>& pinned_map_names() {
  static const std::vector<std::string> names{
      "affinities",    "backends", "counters", "frontends", "node_addresses", "peers",
      "service_names", "sets",     "settings", "slots",     "source_ranges",  "topology_keys"};
  return names;
}

}  // namespace topolb::dataplane
