// SPDX-License-Identifier: Apache-2.0
#include "dependent_lines.h"

#include <chrono>

namespace topolb::bench {
namespace {

template <typename Rows>
void fill(Rows& rows, std::mt19937& random) {
  for (auto& row : rows) row.fill(static_cast<std::uint32_t>(random()));
}

}  // namespace

DependentLines::DependentLines(std::uint32_t services, std::uint32_t backends_per_service)
    : frontends_(services), sets_(services), backends_(services * backends_per_service) {
  fill(frontends_, random_);
  fill(sets_, random_);
  fill(backends_, random_);
}

double DependentLines::time(std::uint32_t count) {
  const auto before = std::chrono::steady_clock::now();
  std::uint32_t value = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    // With what the last one read, or the CPU would read several at a time.
    value = frontends_[(static_cast<std::uint32_t>(random_()) + value) % frontends_.size()][0];
    value = sets_[value % sets_.size()][0];
    value = backends_[value % backends_.size()][0];
  }
  const std::chrono::duration<double, std::nano> used = std::chrono::steady_clock::now() - before;
  backends_[0][0] = value;  // it is needed
  return used.count() / count;
}

}  // namespace topolb::bench
