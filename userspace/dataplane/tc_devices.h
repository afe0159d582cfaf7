// SPDX-License-Identifier: Apache-2.0
// Which devices of this network namespace the per-packet path is to be on, and when that changes.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "dataplane/tc_attach.h"
#include "util/ip.h"
#include "util/result.h"
#include "util/unique_fd.h"

namespace topolb::dataplane {

struct TcDeviceRules {
  /// Patterns of fnmatch(3). None: every device of a default route or of one by way of a router
  /// (replies of other nodes' pods come back there), and those that have one of `addresses`.
  std::vector<std::string> external;
  std::vector<IpAddress> addresses;
  std::vector<std::string> pods;  // patterns
};

/// Sorted by index. An external device is never one of the pods' too.
struct TcDevices {
  std::vector<TcDevice> external;
  std::vector<TcDevice> pods;
  bool operator==(const TcDevices&) const = default;
};

/// Reads devices, addresses and routes as they are now. A device that is named but not there is
/// left out (it may come). Loopback and devices without Ethernet headers are never chosen.
Result<TcDevices> find_tc_devices(const TcDeviceRules& rules);

/// Tells when devices change, default routes do, or a device gets its first route by a router.
class TcDeviceMonitor {
 public:
  static Result<TcDeviceMonitor> open();
  /// Readable when something has changed.
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// Forgets what has been told so far. False: it was about other routes only.
  bool drain();

 private:
  UniqueFd fd_;
  std::set<std::uint32_t> known_;  // devices of routes that it has told of
};

}  // namespace topolb::dataplane
