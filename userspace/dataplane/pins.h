// SPDX-License-Identifier: Apache-2.0
// The pin path: bpffs, one agent at a time, hooks and their links, and removing it all.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "util/result.h"
#include "util/unique_fd.h"

namespace topolb::dataplane {

/// One attached (or missing) program of the pin path.
struct Hook {
  std::string name;  // "connect4", "tc-ingress"
  bool attached = false;
  std::uint32_t program_id = 0;
  std::string where;  // "cgroup /sys/fs/cgroup" (its id if the path is not found), "device eth0"
};

/// The socket hooks in a fixed order, attached or not, then those of the per-packet path by device,
/// before them "tc-workers" if the pin of the programs that these leave packets to is gone.
std::vector<Hook> read_hooks(const std::string& pin_path);

/// Makes sure that `pin_path` is a directory of a bpffs (mounts one at /sys/fs/bpf when that is
/// where it lies and nothing is mounted) and locks it for this process, as long as the result
/// lives. Errors: no bpffs, no right, "another topolbd runs on ...".
Result<UniqueFd> claim_pin_path(const std::string& pin_path);

/// An agent holds the pin path now.
bool is_claimed(const std::string& pin_path);

/// Detaches every program and removes every map and pin of the pin path. Returns what was removed,
/// one name each; nothing there is no error. Error: an agent runs there, or no right.
Result<std::vector<std::string>> remove_pins(const std::string& pin_path);

/// The mount point of the cgroup2 hierarchy. Error: none is mounted.
Result<std::string> find_cgroup2();

}  // namespace topolb::dataplane
