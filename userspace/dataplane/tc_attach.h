// SPDX-License-Identifier: Apache-2.0
// One program on one device: a tcx link where the kernel has them (6.6), a clsact filter else.
// Other people's programs and filters on the device stay as they are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "util/result.h"

namespace topolb::dataplane {

enum class TcDirection : std::uint8_t { Ingress, Egress };
std::string_view to_string(TcDirection direction);  // "ingress", "egress"

enum class TcMethod : std::uint8_t { Link, Filter };

/// A device by its index, which outlives renaming; the name is for messages.
struct TcDevice {
  std::uint32_t index = 0;
  std::string name;
  auto operator<=>(const TcDevice&) const = default;
};

/// Puts `program` on the device, in one step where topolb's own was there before. A link is pinned
/// below `pin_path`, as links/tc-ingress-INDEX: traffic goes on when this process ends. A filter
/// lives with its device. Tries a link, and a filter if the kernel has no such links.
Result<TcMethod> attach_tc(const std::string& pin_path, const TcDevice& device,
                           TcDirection direction, int program);
/// The same by a clsact filter, whatever the kernel has.
Result<void> attach_tc_filter(const TcDevice& device, TcDirection direction, int program);

/// Takes topolb's program off the device. One that is not there, or a device that is gone, is no
/// error.
Result<void> detach_tc(const std::string& pin_path, const TcDevice& device, TcDirection direction);

/// Unpins links whose device is gone; returns how many.
std::size_t drop_dead_tc_links(const std::string& pin_path);

/// One program of a pin path on one device.
struct TcHook {
  TcDevice device;
  TcDirection direction = TcDirection::Ingress;
  TcMethod method = TcMethod::Link;
  std::uint32_t program_id = 0;
};
/// Every link pinned below `pin_path` that is on a device, and every filter in this network
/// namespace whose program uses a map pinned there; sorted by device.
std::vector<TcHook> read_tc_hooks(const std::string& pin_path);

}  // namespace topolb::dataplane
