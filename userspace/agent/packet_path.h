// SPDX-License-Identifier: Apache-2.0
// The agent's side of the per-packet path: follows the node's addresses and devices, keeps the
// programs where they belong and the maps as the network is. One thread.
#pragma once

#include <sys/timerfd.h>

#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "agent/status_board.h"
#include "core/model.h"
#include "dataplane/node_network.h"
#include "dataplane/tc_path.h"

namespace topolb::agent {

struct PacketOptions {
  dataplane::TcOptions tc;
  dataplane::NodeNetworkOptions network;
  /// TCP flows whose backend is gone go on to where it was, instead of being reset.
  bool keep_tcp_of_gone_backends = false;
};

class PacketPath {
 public:
  /// Follows addresses and devices from now on; writes addresses and settings. `datapath` must
  /// outlive it.
  static Result<PacketPath> open(const PacketOptions& options, const std::string& node_name,
                                 const std::string& pin_path, dataplane::Datapath& datapath);

  /// Once the datapath's maps have room for the first complete state: begins to load the programs,
  /// if there is a device for them.
  void prepare();
  /// Once that state is in the kernel: attaches the programs. What fails is a problem of the Node,
  /// and is tried again.
  void start();
  /// Once the datapath has new maps, which hold all that the old ones did: switches over to them.
  void reload();
  /// Readable when addresses or devices have changed: then network_changed().
  [[nodiscard]] int address_fd() const { return addresses_.fd(); }
  [[nodiscard]] int device_fd() const { return devices_.fd(); }
  void network_changed();
  /// Readable now and then, while the flow table may have to grow: then look_at_flows().
  [[nodiscard]] int flow_fd() const { return flow_timer_.get(); }
  void look_at_flows();
  /// Once a second.
  void beat();

  /// Where a server of the node itself has to listen to be where NodePorts answer.
  [[nodiscard]] const std::vector<IpAddress>& node_port_listeners() const {
    return node_port_listeners_;
  }
  [[nodiscard]] const std::vector<core::Problem>& problems() const { return problems_; }
  /// What happened on the path, how full its maps are; nothing while it is not loaded.
  void add_to(Status& status) const;

 private:
  PacketPath(PacketOptions options, std::string node_name, std::string pin_path,
             dataplane::Datapath& datapath, dataplane::NodeAddressMonitor addresses,
             dataplane::TcDeviceMonitor devices);
  void read_addresses();
  void choose_device_addresses();
  void write_settings();
  [[nodiscard]] dataplane::TcDeviceRules rules() const;
  [[nodiscard]] bool is_wanted() const;
  void start_loading();
  void load();
  void attach();
  void tell(const char* reason, const std::vector<Error>& errors);

  PacketOptions options_;
  std::string node_name_;
  std::string pin_path_;
  dataplane::Datapath& datapath_;
  dataplane::NodeAddressMonitor addresses_;
  dataplane::TcDeviceMonitor devices_;
  dataplane::NodeAddresses node_addresses_;
  dataplane::PrimaryAddresses primary_;
  std::vector<IpAddress> node_port_listeners_;
  // The verifier takes its time: it reads the programs while the first state is being published.
  std::future<Result<dataplane::TcPath>> loading_;
  std::optional<dataplane::TcPath> path_;
  bool is_outdated_ = false;  // path_ is on maps that are replaced
  bool started_ = false;
  bool devices_changed_ = false;
  std::chrono::steady_clock::time_point next_look_;
  UniqueFd flow_timer_{::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)};
  std::uint32_t beats_ = 0;
  std::vector<core::Problem> problems_;  // sorted
};

}  // namespace topolb::agent
