// SPDX-License-Identifier: Apache-2.0
// A place of its own for a test on real kernel hooks: a cgroup with this process in it, a network
// namespace with loopback up, and a pin path. Everything is gone when it is destroyed.
#pragma once

#include <string>

#include "dataplane/datapath.h"
#include "util/ip.h"
#include "util/unique_fd.h"

namespace topolb::test {

/// Moves the calling thread's network namespace: make it before any thread that shall share it.
/// Throws std::runtime_error when the machine lacks something (root, cgroup2, bpffs): a failure,
/// never a skip.
class Sandbox {
 public:
  Sandbox();
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  /// Makes an address of this node (on lo: a backend or a client), or on a dummy device when it is
  /// to count as one of the node's own for NodePorts.
  void add_address(const std::string& address);
  void add_node_address(const std::string& address);

  [[nodiscard]] const std::string& cgroup() const { return cgroup_; }
  [[nodiscard]] const std::string& pin_path() const { return pin_path_; }
  [[nodiscard]] dataplane::DatapathOptions options() const;

 private:
  std::string cgroup_;
  std::string pin_path_;
  UniqueFd original_netns_;
};

/// Room in the maps for any test.
inline dataplane::MapSizes plenty() {
  return {.frontends = 4096,
          .services = 4096,
          .sets = 4096,
          .slot_lines = 8192,
          .backends = 32768,
          .affinities = 4096,
          .counters = 8192};
}

/// Runs a command line; throws with its words when it fails.
void run(const std::string& command);

}  // namespace topolb::test
