// SPDX-License-Identifier: Apache-2.0
// BPF programs that let everything pass, at the hooks that topolb's are attached to: what those
// cost that do nothing.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "util/unique_fd.h"

namespace topolb::bench {

/// Attached as long as it lives. Throws std::runtime_error if one can't be loaded or attached.
class EmptyPrograms {
 public:
  /// At the socket hooks of a cgroup, but those that have another program here, which is attached.
  explicit EmptyPrograms(const std::string& cgroup, const std::map<std::string, int>& others = {});
  /// And at both directions of a device of this network namespace, as topolb's own are: links are
  /// pinned below `pin_path`, which is there.
  static void attach_to_device(const std::string& name, const std::string& pin_path);
  /// The empty ones of the socket hooks.
  [[nodiscard]] const std::map<std::string, UniqueFd>& by_hook() const { return by_hook_; }

 private:
  std::map<std::string, UniqueFd> by_hook_;
  std::vector<UniqueFd> links_;
};

}  // namespace topolb::bench
