// SPDX-License-Identifier: Apache-2.0
// The TC programs, loaded but not attached, in a network namespace of their own: packets are run
// through them by BPF_PROG_TEST_RUN.
//
// The node: out0 is the external device (192.0.2.10, 2001:db8::10, default routes), cluster0
// leads to the other nodes' pods (10.1.0.0/16, fd00:1::/64; MTU 1400), pod0 to a pod.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/flow_table.h"
#include "dataplane/kernel_maps.h"
#include "dataplane/publisher.h"
#include "maps/layout.h"
#include "maps/packet_events.h"
#include "support/packet.h"
#include "support/plans.h"
#include "support/sandbox.h"

namespace topolb::test {

enum class Hook : std::uint8_t { Ingress, PodIngress, Egress };

/// What a program did with a packet; the actions of linux/pkt_cls.h.
struct Outcome {
  int action = 0;
  Bytes frame;
  [[nodiscard]] PacketView view() const { return look_at(frame); }
};
inline constexpr int kPass = -1;     // TC_ACT_UNSPEC
inline constexpr int kDrop = 2;      // TC_ACT_SHOT
inline constexpr int kRedirect = 7;  // TC_ACT_REDIRECT

struct PacketPathObject;  // the bpftool skeleton

class PacketPath {
 public:
  /// `flows`: room in the flow table, `sizes`: in the others; `dsr`: direct server return. Throws
  /// when something can't be had.
  explicit PacketPath(std::uint32_t flows = 4096, const dataplane::MapSizes& sizes = plenty(),
                      bool dsr = false);
  ~PacketPath();
  PacketPath(const PacketPath&) = delete;
  PacketPath& operator=(const PacketPath&) = delete;

  /// Brings the maps to a plan; backends in `local` are on this node.
  void publish(std::vector<core::ServicePortPlan> plan, const std::vector<std::string>& local = {});
  /// The rows of replaced backends become free at once.
  void forget_retired() { publisher_->reclaim(); }

  /// Runs a packet as a device hands it over. `gso_size`: one to be cut into segments of so much.
  Outcome run(Hook hook, const Bytes& frame, std::uint32_t gso_size = 0);
  /// The same for a device that has summed the packet (CHECKSUM_COMPLETE): throws if that sum does
  /// not fit the packet afterwards.
  Outcome run_summed(Hook hook, const Bytes& frame);
  /// Nanoseconds per run of a program, over `repeat` runs on what the run before left.
  static double time(int program, const Bytes& frame, int repeat);
  [[nodiscard]] int program(Hook hook) const;

  /// New flows to remote backends come from these; 192.0.2.10 and 2001:db8::10 at first.
  void masquerade_with(const std::string& ipv4, const std::string& ipv6);
  topolb_settings& settings() { return maps_->settings[0]; }
  dataplane::KernelMaps& maps() { return *maps_; }
  dataplane::FlowTable& flows() { return *flows_; }
  [[nodiscard]] std::uint64_t event(std::uint32_t id) const;
  /// Routes to backends that the CPUs remember, all together.
  [[nodiscard]] int remembered_routes() const;
  /// Makes every flow idle for so much longer.
  void age_flows(std::uint64_t seconds);

 private:
  [[nodiscard]] std::uint32_t device(Hook hook) const;

  Sandbox sandbox_;
  std::uint32_t external_device_ = 0;
  std::uint32_t pod_device_ = 0;
  std::unique_ptr<PacketPathObject> object_;
  std::optional<dataplane::KernelMaps> maps_;
  std::optional<dataplane::FlowTable> flows_;
  std::optional<dataplane::Publisher> publisher_;
  std::vector<core::ServicePortPlan> plan_;
};

}  // namespace topolb::test
