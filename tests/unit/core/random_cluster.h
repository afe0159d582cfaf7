// SPDX-License-Identifier: Apache-2.0
// Random small clusters that meet every rule of design.md 3 often: few names, few values.
#pragma once

#include <fmt/format.h>

#include <random>
#include <string>
#include <vector>

#include "core/model.h"

namespace topolb::core::test {

class RandomCluster {
 public:
  explicit RandomCluster(std::uint32_t seed) : random_(seed) {}

  Service service(const std::string& name);
  /// Of one of the Services "a" to "c".
  EndpointSlice slice(const std::string& name);
  Node node(const std::string& name);

  std::string service_name() { return std::string(1, static_cast<char>('a' + below(3))); }
  /// "n0" to "n4"; there are endpoints on all of them.
  std::string node_name() { return fmt::format("n{}", below(5)); }
  std::uint32_t below(std::uint32_t limit) { return random_() % limit; }
  bool one_in(std::uint32_t n) { return below(n) == 0; }

 private:
  std::string label_value() { return std::vector<std::string>{"x", "y", ""}[below(3)]; }
  void set_keys(Service& service);
  Endpoint endpoint(Family family);

  std::mt19937 random_;
};

}  // namespace topolb::core::test
