// SPDX-License-Identifier: Apache-2.0
// The endpoints of one Service, merged from all its slices and in order, so that neither a plan nor
// a changed slice sorts them again.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/model.h"
#include "core/pools.h"

namespace topolb::core {

/// An endpoint of a Service port as the planner sees it.
struct PortEndpoint {
  SocketAddress backend;
  bool ready = true;
  bool serving = true;
  bool terminating = false;
  PoolId placement_id = 0;               // in Pools::placements
  const Placement* placement = nullptr;  // the same

  /// The KEP-1669 fallback: not ready, but still serving while it terminates.
  [[nodiscard]] bool serving_terminating() const { return !ready && serving && terminating; }
};

class ServiceEndpoints {
 public:
  /// `pools` must outlive it.
  explicit ServiceEndpoints(Pools& pools) : pools_(&pools) {}
  ServiceEndpoints(ServiceEndpoints&& other) noexcept;
  ServiceEndpoints(const ServiceEndpoints&) = delete;
  ServiceEndpoints& operator=(const ServiceEndpoints&) = delete;
  ServiceEndpoints& operator=(ServiceEndpoints&&) = delete;
  ~ServiceEndpoints();

  /// Slices have numbers for as long as they are here.
  using SliceNumber = std::uint32_t;

  /// A new slice.
  SliceNumber add(const EndpointSlice& slice);
  /// What a slice holds now. False: the same as before.
  bool update(SliceNumber number, const EndpointSlice& slice);
  void remove(SliceNumber number);
  [[nodiscard]] const std::string& name_of(SliceNumber number) const {
    return slices_[number].name;
  }
  [[nodiscard]] bool empty() const { return slice_count_ == 0; }

  /// Sorted by backend, one per address and port: of two endpoints with the same, the one that is
  /// not terminating, then the more usable one, then that of the first slice by name.
  [[nodiscard]] std::vector<PortEndpoint> of_port(const ServicePort& port, Family family) const;

  /// How many different addresses of a family are ready on a node. An endpoint without ports is
  /// none, as for kube-proxy.
  [[nodiscard]] std::size_t ready_on(std::string_view node_name, Family family) const;

  [[nodiscard]] const Placement& placement(PoolId id) const { return pools_->placements[id]; }
  /// Whether `holds` is true for the placement of one of them, asked in order.
  template <typename Condition>
  [[nodiscard]] bool any_placement(const Condition& holds) const {
    for (const Stored& endpoint : endpoints_) {
      if (holds(PoolId{endpoint.placement})) return true;
    }
    return false;
  }

 private:
  struct Slice {
    std::string name;  // "": this number is free
    PoolId ports = 0;
    Family family = Family::IPv4;
  };
  struct Stored {
    IpAddress address;
    PoolId placement = 0;
    std::uint32_t slice : 29 = 0;
    std::uint32_t ready : 1 = 0;
    std::uint32_t serving : 1 = 0;
    std::uint32_t terminating : 1 = 0;
    bool operator==(const Stored&) const = default;
  };

  [[nodiscard]] std::vector<Stored> stored(SliceNumber number,
                                           const std::vector<Endpoint>& endpoints);
  [[nodiscard]] PoolId hold_placement(const Endpoint& endpoint);
  [[nodiscard]] bool holds(SliceNumber number, const std::vector<Stored>& endpoints) const;
  void insert(const std::vector<Stored>& endpoints);
  void erase_endpoints_of(SliceNumber number);
  void release(const std::vector<Stored>& endpoints);
  [[nodiscard]] bool comes_before(const Stored& a, const Stored& b) const;

  Pools* pools_;
  std::vector<Slice> slices_;  // by number
  std::uint32_t slice_count_ = 0;
  std::vector<Stored> endpoints_;  // by address, then by the slice's name, then as in the slice
};

}  // namespace topolb::core
