// SPDX-License-Identifier: Apache-2.0
// Maps that larger ones take the place of, while programs still use them.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "dataplane/kernel_maps.h"
#include "util/result.h"

namespace topolb::dataplane {

/// Writes everything that is published in `from` into `to`, which is as large or larger, under the
/// same ids. Sets get others: they are put where programs guess at them (maps/constants.h). Error:
/// something finds no room.
Result<void> copy_entries(const KernelMaps& from, KernelMaps& to);

class ReplacedMaps {
 public:
  /// `maps` without settings, which stay; `counts` as they were copied.
  ReplacedMaps(KernelMaps maps, std::vector<std::uint64_t> counts)
      : maps_(std::move(maps)), counts_(std::move(counts)) {}

  /// Once programs use `to`: what those that used these have counted since, and the states of
  /// backends that somebody has flipped here.
  void add_changes_to(KernelMaps& to) const;

 private:
  KernelMaps maps_;
  std::vector<std::uint64_t> counts_;
};

}  // namespace topolb::dataplane
