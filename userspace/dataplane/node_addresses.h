// SPDX-License-Identifier: Apache-2.0
// The node's own addresses, where NodePorts answer: every address of this network namespace, on lo
// too (nodes that announce theirs by BGP have them there), followed by rtnetlink.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "util/ip.h"
#include "util/result.h"
#include "util/unique_fd.h"

namespace topolb::dataplane {

/// By address: the index of its interface. Without 127.0.0.0/8 and ::1, which the BPF programs
/// know, and link-local IPv6 addresses, which name a node only together with an interface.
using NodeAddresses = std::map<IpAddress, std::uint32_t>;

Result<NodeAddresses> read_node_addresses();

struct NodeAddress {
  IpAddress address;
  std::uint32_t interface_index = 0;
};
/// The same in the kernel's order: of a device, the first of a family is what it prefers.
Result<std::vector<NodeAddress>> list_node_addresses();

/// Readable whenever addresses may have changed; then drain() and read_node_addresses().
class NodeAddressMonitor {
 public:
  static Result<NodeAddressMonitor> open();
  [[nodiscard]] int fd() const { return fd_.get(); }
  void drain();

 private:
  UniqueFd fd_;
};

}  // namespace topolb::dataplane
