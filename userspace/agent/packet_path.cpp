// SPDX-License-Identifier: Apache-2.0
#include "agent/packet_path.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "dataplane/masquerades.h"
#include "dataplane/packet_events.h"

namespace topolb::agent {
namespace {

// Pods bring devices in bursts: from one event to the next it may take so long until they are
// looked at again.
constexpr std::chrono::milliseconds kBetweenLooks{100};

// How often it is looked whether the programs are still where they were put.
constexpr std::uint32_t kRepairEveryBeats = 10;

constexpr std::chrono::nanoseconds kBetweenLooksAtFlows = std::chrono::milliseconds(50);

constexpr const char* kNotAttached = "PacketPathNotAttached";
constexpr const char* kNoPorts = "NoMasqueradePorts";

}  // namespace

PacketPath::PacketPath(PacketOptions options, std::string node_name, std::string pin_path,
                       dataplane::Datapath& datapath, dataplane::NodeAddressMonitor addresses,
                       dataplane::TcDeviceMonitor devices)
    : options_(std::move(options)),
      node_name_(std::move(node_name)),
      pin_path_(std::move(pin_path)),
      datapath_(datapath),
      addresses_(std::move(addresses)),
      devices_(std::move(devices)) {}

Result<PacketPath> PacketPath::open(const PacketOptions& options, const std::string& node_name,
                                    const std::string& pin_path, dataplane::Datapath& datapath) {
  auto addresses = dataplane::NodeAddressMonitor::open();
  if (!addresses) return addresses.error();
  auto devices = dataplane::TcDeviceMonitor::open();
  if (!devices) return devices.error();
  PacketPath path(options, node_name, pin_path, datapath, std::move(*addresses),
                  std::move(*devices));
  path.write_settings();
  path.read_addresses();
  return path;
}

void PacketPath::read_addresses() {
  auto found = dataplane::read_node_addresses();
  if (!found) {
    spdlog::error("{}", found.error().message());  // the known ones stay
    return;
  }
  const auto primary = dataplane::primary_addresses(*found, options_.network.node_ips);
  if (auto written = dataplane::write_node_network(datapath_.maps(), *found, primary,
                                                   options_.network.node_port_ranges);
      !written) {
    spdlog::error("{}", written.error().message());
  }
  node_port_listeners_ =
      dataplane::node_port_listeners(*found, primary, options_.network.node_port_ranges);
  if (primary != primary_) {
    const auto text = [](const auto& address) { return address ? address->to_string() : "none"; };
    spdlog::info("node addresses: IPv4 {}, IPv6 {}", text(primary.ipv4), text(primary.ipv6));
    primary_ = primary;
    devices_changed_ = true;  // the default ones are of these addresses
  }
  node_addresses_ = std::move(*found);
  choose_device_addresses();
}

// Until the programs are attached, those of the agent before go on with its choice.
void PacketPath::choose_device_addresses() {
  if (!path_) return;
  const auto addresses = dataplane::list_node_addresses();
  if (!addresses) return;  // as before
  if (auto chosen = dataplane::choose_device_masquerades(datapath_.maps().settings[0],
                                                         path_->external_devices(), *addresses);
      !chosen) {
    spdlog::error("{}", chosen.error().message());
  }
}

void PacketPath::write_settings() {
  topolb_settings& settings = datapath_.maps().settings[0];
  auto ports = options_.network.masquerade_ports;
  if (!ports) {
    const auto ephemeral = dataplane::read_ephemeral_ports();
    if (ephemeral) ports = dataplane::free_ports(*ephemeral, dataplane::kDefaultNodePorts);
  }
  settings.masquerade_port_min = ports ? ports->first : 1;
  settings.masquerade_port_max = ports ? ports->last : 0;
  settings.packet_flags =
      options_.keep_tcp_of_gone_backends ? TOPOLB_PACKETS_KEEP_TCP_OF_GONE_BACKENDS : 0;
  if (!ports) {
    tell(kNoPorts, {make_error("no 1,024 ports in a row are free of ephemeral ports and NodePorts: "
                               "give --masquerade-ports")});
  }
}

dataplane::TcDeviceRules PacketPath::rules() const {
  auto rules = options_.tc.devices;
  for (const auto& address : {primary_.ipv4, primary_.ipv6}) {
    if (address) rules.addresses.push_back(*address);
  }
  return rules;
}

// Without a device, no programs and no flow table.
bool PacketPath::is_wanted() const {
  const auto devices = dataplane::find_tc_devices(rules());
  return !devices || !devices->external.empty() || !devices->pods.empty() ||
         !dataplane::read_tc_hooks(pin_path_).empty();
}

void PacketPath::start_loading() {
  loading_ = std::async(std::launch::async,
                        [pin_path = pin_path_, options = options_.tc, &datapath = datapath_] {
                          return dataplane::TcPath::load(pin_path, datapath, options);
                        });
}

void PacketPath::prepare() {
  if (options_.tc.enabled && is_wanted()) start_loading();
}

void PacketPath::start() {
  started_ = true;
  if (options_.tc.enabled) {
    load();
  } else if (auto removed = dataplane::remove_tc_path(pin_path_); !removed) {
    tell(kNotAttached, {removed.error()});
  }
}

void PacketPath::load() {
  if (!loading_.valid()) {
    if (!is_wanted()) return;
    start_loading();
  }
  auto loaded = loading_.get();
  if (!loaded) {
    tell(kNotAttached, {loaded.error()});
    return;
  }
  path_.emplace(std::move(*loaded));
  is_outdated_ = false;
  attach();
  const bool may_grow = path_->room_for_flows() < options_.tc.sizes.most_flows;
  const timespec pause{.tv_sec = 0, .tv_nsec = may_grow ? kBetweenLooksAtFlows.count() : 0};
  const itimerspec looks{.it_interval = pause, .it_value = pause};
  ::timerfd_settime(flow_timer_.get(), 0, &looks, nullptr);
}

void PacketPath::reload() {
  if (!path_) return;  // not wanted yet
  is_outdated_ = true;
  start_loading();
  load();
}

// A burst of new flows must not fill the table before the next size is loaded.
void PacketPath::look_at_flows() {
  std::uint64_t expirations = 0;
  (void)!::read(flow_timer_.get(), &expirations, sizeof(expirations));
  if (!path_ || is_outdated_) return;
  const auto wanted = path_->wanted_flows();
  if (!wanted) return;
  options_.tc.sizes.flows = *wanted;
  spdlog::info("the flow table gets room for {} flows", *wanted);
  reload();
}

void PacketPath::attach() {
  devices_changed_ = false;
  next_look_ = std::chrono::steady_clock::now() + kBetweenLooks;
  const auto before = path_->device_count();
  tell(kNotAttached, path_->attach(rules()));
  choose_device_addresses();
  if (path_->device_count() != before) {
    spdlog::info("packets of {} device{} pass the per-packet path", path_->device_count(),
                 path_->device_count() == 1 ? "" : "s");
  }
}

void PacketPath::network_changed() {
  addresses_.drain();
  devices_changed_ = devices_.drain() || devices_changed_;
  read_addresses();
  // Else the next beat looks.
  if (!started_ || std::chrono::steady_clock::now() < next_look_) return;
  if (path_) {
    attach();
  } else if (options_.tc.enabled && devices_changed_) {
    devices_changed_ = false;
    next_look_ = std::chrono::steady_clock::now() + kBetweenLooks;
    load();
  }
}

void PacketPath::beat() {
  if (!started_ || !options_.tc.enabled) return;
  if (!path_) {
    if (devices_changed_ || ++beats_ % kRepairEveryBeats == 0) load();
    devices_changed_ = false;
    return;
  }
  const bool failed = std::any_of(problems_.begin(), problems_.end(), [](const auto& problem) {
    return problem.reason == kNotAttached;
  });
  path_->collect();
  if (is_outdated_) return reload();  // it failed before
  if (failed || devices_changed_) attach();
  if (++beats_ % kRepairEveryBeats != 0) return;
  if (const auto errors = path_->repair(); !errors.empty()) return tell(kNotAttached, errors);
  if (!failed) path_->end_flows_of_lost_addresses(node_addresses_);
}

void PacketPath::tell(const char* reason, const std::vector<Error>& errors) {
  std::erase_if(problems_, [&](const auto& problem) { return problem.reason == reason; });
  for (const auto& error : errors) {
    problems_.push_back({.kind = "Node",
                         .namespace_name = "",
                         .name = node_name_,
                         .reason = reason,
                         .message = error.message()});
  }
  std::sort(problems_.begin(), problems_.end());
}

void PacketPath::add_to(Status& status) const {
  status.packet_devices = path_ ? path_->device_count() : 0;
  if (!path_) return;
  const auto map = path_->programs().map("packet_events");
  auto events = map ? dataplane::read_packet_events(map->get()) : map.error();
  if (events) status.packet_events = std::move(*events);
  status.flows = path_->flow_fill();
}

}  // namespace topolb::agent
