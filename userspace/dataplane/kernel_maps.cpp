// SPDX-License-Identifier: Apache-2.0
#include "dataplane/kernel_maps.h"

#include <bpf/libbpf.h>
#include <fmt/format.h>

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

Result<Counters> open_map(Counters*, UniqueFd fd, const std::string&, Access) {
  return Counters::from_fd(std::move(fd));
}

}  // namespace

Result<Counters> Counters::from_fd(UniqueFd fd) {
  auto info = map_info(fd.get(), "counters");
  if (!info) return info.error();
  auto checked = check_sizes(*info, "counters", sizeof(std::uint32_t), sizeof(topolb_counter));
  if (!checked) return checked.error();
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 1) return errno_error(-cpus, "count the possible CPUs");
  Counters counters;
  counters.fd_ = std::move(fd);
  counters.capacity_ = info->max_entries;
  counters.cpus_ = static_cast<std::size_t>(cpus);
  return counters;
}

std::vector<std::uint64_t> Counters::read(std::uint32_t first, std::uint32_t count) const {
  std::vector<std::uint64_t> sums(count);
  std::vector<topolb_counter> per_cpu(cpus_);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t id = first + i;
    if (bpf_map_lookup_elem(fd_.get(), &id, per_cpu.data()) != 0) continue;
    for (const auto& counter : per_cpu) sums[i] += counter.connections;
  }
  return sums;
}

Result<void> Counters::reset(std::uint32_t first, std::uint32_t count) {
  const std::vector<topolb_counter> zeros(cpus_);
  for (std::uint32_t id = first; id < first + count; ++id) {
    if (bpf_map_update_elem(fd_.get(), &id, zeros.data(), BPF_ANY) != 0) {
      return errno_error(errno, fmt::format("reset counter {}", id));
    }
  }
  return {};
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
  open_one(maps.services, "services");
  open_one(maps.sets, "sets");
  open_one(maps.slots, "slots");
  open_one(maps.backends, "backends");
  open_one(maps.affinities, "affinities");
  open_one(maps.counters, "counters");
  open_one(maps.node_addresses, "node_addresses");
  open_one(maps.source_ranges, "source_ranges");
  open_one(maps.service_names, "service_names");
  open_one(maps.topology_keys, "topology_keys");
  if (!outcome) return outcome.error();
  return maps;
}

Result<KernelMaps> KernelMaps::open_pinned(const std::string& pin_path, Access access) {
  auto maps = open(
      [&](const std::string& name) { return dataplane::open_pinned(pin_of_map(pin_path, name)); },
      access);
  if (!maps) {
    if (maps.error().code == std::errc::no_such_file_or_directory) {
      return Error{
          {}, fmt::format("nothing of topolb is pinned at {}: no agent has run there", pin_path)};
    }
    return maps.error();
  }
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
      "affinities", "backends", "counters", "frontends", "node_addresses", "service_names",
      "services",   "sets",     "settings", "slots",     "source_ranges",  "topology_keys"};
  return names;
}

}  // namespace topolb::dataplane
