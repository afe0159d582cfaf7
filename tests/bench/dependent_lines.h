// SPDX-License-Identifier: Apache-2.0
// What memory costs a connect to a random Service, whatever the program does: three lines, each of
// which says where the next one is.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <vector>

namespace topolb::bench {

class DependentLines {
 public:
  /// As large as the frontends, sets and backends of so many Services.
  DependentLines(std::uint32_t services, std::uint32_t backends_per_service);

  /// ns for the three, on average of so many.
  double time(std::uint32_t count);

 private:
  template <std::size_t Words>
  using Rows = std::vector<std::array<std::uint32_t, Words>>;

  std::mt19937 random_{1};
  Rows<16> frontends_;  // 64 bytes, as a line of the map
  Rows<24> sets_;
  Rows<6> backends_;
};

}  // namespace topolb::bench
