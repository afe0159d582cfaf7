// SPDX-License-Identifier: Apache-2.0
// The per-packet path of one agent: its programs on the devices of this network namespace, as they
// come and go, taken over from the agent before and left to the next.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/datapath.h"
#include "dataplane/flow_collector.h"
#include "dataplane/flow_move.h"
#include "dataplane/node_addresses.h"
#include "dataplane/publisher.h"
#include "dataplane/tc_devices.h"
#include "dataplane/tc_programs.h"

namespace topolb::dataplane {

struct TcOptions {
  bool enabled = true;  // false: remove() what an agent before has attached
  TcDeviceRules devices;
  TcSizes sizes;
  bool dsr = false;  // direct server return: bpf/dsr.bpf.h
};

class TcPath {
 public:
  /// Loads the programs on the datapath's maps, which have room already. Attaches nothing yet.
  static Result<TcPath> load(const std::string& pin_path, Datapath& datapath,
                             const TcOptions& options);

  /// Attaches to the devices that the rules choose now, and detaches from all others. Errors, one
  /// per device and direction that could not be attached: tried again by the next call.
  std::vector<Error> attach(const TcDeviceRules& rules);
  /// Puts back what somebody has taken away: programs off their devices, pins of what they need.
  /// The same errors.
  std::vector<Error> repair();

  /// Tidies the flow table up, a bounded slice; once a second.
  void collect();
  /// Ends flows that come from an address which the node has not any more; now and then, and not
  /// while an attach() has failed.
  void end_flows_of_lost_addresses(const NodeAddresses& addresses);
  /// Room that the flow table ought to have, as load() is to be told: more than it has, when that
  /// is allowed and a quarter of it is used.
  [[nodiscard]] std::optional<std::uint32_t> wanted_flows() const;
  [[nodiscard]] std::uint32_t room_for_flows() const { return flows_->capacity(); }
  /// Flows now, about, and how many there may be.
  [[nodiscard]] MapFill flow_fill() const;

  /// How many devices the path is on.
  [[nodiscard]] std::size_t device_count() const { return attached_.size(); }
  /// Those of them that are no pods', by index.
  [[nodiscard]] std::vector<std::uint32_t> external_devices() const;
  [[nodiscard]] const TcPrograms& programs() const { return programs_; }

 private:
  struct Place {
    TcDevice device;
    bool is_pod = false;
    TcMethod method = TcMethod::Link;
  };
  TcPath(std::string pin_path, TcPrograms programs, FlowTable flows);
  void add_ports_of(const topolb_flow& flow);
  // By what maps made anew call backends; none: they are the same ones. False: not to be kept.
  using BackendIds = std::map<std::pair<SocketAddress, std::uint8_t>, std::uint32_t>;
  bool admit(topolb_flow& flow, const BackendIds* ids);
  [[nodiscard]] BackendIds backend_ids() const;
  void drop_direct_flows();
  void attach_device(const TcDevice& device, bool is_pod, std::vector<Error>& errors);

  std::string pin_path_;
  TcPrograms programs_;
  // On the heap: the collector refers to it over moves of this object.
  std::unique_ptr<FlowTable> flows_;
  std::unique_ptr<FlowCollector> collector_;
  std::uint32_t most_flows_ = 0;
  bool dsr_ = false;
  const KernelMaps* maps_ = nullptr;
  topolb_settings* settings_ = nullptr;
  std::optional<FlowTable> replaced_;        // of the agent before, until the first attach()
  std::map<std::uint32_t, Place> attached_;  // by index of the device
  std::vector<TcHook> inherited_;            // of the agent before, until the first attach()
};

/// Takes the path off every device and removes its pins. What is not there is no error.
Result<void> remove_tc_path(const std::string& pin_path);

}  // namespace topolb::dataplane
