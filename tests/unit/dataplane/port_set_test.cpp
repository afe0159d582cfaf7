// SPDX-License-Identifier: Apache-2.0
// The ports that first looks at packets know. Source: docs/decisions/0042.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "maps/layout.h"

namespace topolb::dataplane {
namespace {

constexpr int kRounds = 2000;

// The agent publishes while another thread of it reads what flows there are.
TEST(PortSet, TwoThreadsAddPortsAtOnce) {
  std::vector<topolb_port_set> sets(kRounds);
  std::atomic<int> arrived{0};
  const auto add_every_second = [&](std::uint16_t first) {
    std::vector<std::uint16_t> ports;
    for (std::uint16_t port = first; port < TOPOLB_WELL_KNOWN_PORTS; port += 2) {
      ports.push_back(port);
    }
    std::shuffle(ports.begin(), ports.end(), std::minstd_rand(first));
    int expected = 0;
    for (auto& set : sets) {
      ++arrived;
      expected += 2;
      while (arrived < expected) {  // no sleep: they are to meet
      }
      for (const auto port : ports) topolb_add_port(&set, port);
    }
  };
  std::thread odd(add_every_second, 1);
  add_every_second(0);
  odd.join();
  for (const auto& set : sets) {
    ASSERT_TRUE(std::all_of(set.words, set.words + TOPOLB_WELL_KNOWN_PORTS / 64,
                            [](auto word) { return word == ~std::uint64_t{0}; }));
  }
}

}  // namespace
}  // namespace topolb::dataplane
