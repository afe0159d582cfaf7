// SPDX-License-Identifier: Apache-2.0
// A loaded and attached datapath in a sandbox, brought to a plan.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dataplane/constants.h"
#include "dataplane/datapath.h"
#include "dataplane/frontend_table.h"
#include "dataplane/kernel_state.h"
#include "dataplane/publisher.h"
#include "support/plans.h"
#include "support/sandbox.h"
#include "support/sockets.h"

namespace topolb::test {

class DatapathTest : public ::testing::Test {
 protected:
  /// Loads, publishes `plan` as the first complete state, attaches.
  void start(const std::vector<core::ServicePortPlan>& plan) { start(plan, sandbox_.options()); }

  /// `room`: in the maps, for what a test changes its plan to.
  void start(const std::vector<core::ServicePortPlan>& plan,
             const dataplane::DatapathOptions& options,
             const dataplane::MapSizes& room = plenty()) {
    auto opened = dataplane::Datapath::open(options);
    ASSERT_TRUE(opened) << opened.error().message();
    datapath_ = std::move(*opened);
    const auto made = datapath_->make_room(room);
    ASSERT_TRUE(made) << made.error().message();
    publisher_.emplace(datapath_->maps());
    publisher_->take_over(plan);
    plan_ = plan;
    const auto attached = datapath_->attach();
    ASSERT_TRUE(attached) << attached.error().message();
    datapath_->drop_replaced_maps();
  }

  /// The agent dies: programs, maps and pins stay.
  void stop() {
    publisher_.reset();
    datapath_.reset();
  }

  void change_to(const std::vector<core::ServicePortPlan>& plan) {
    publisher_->execute(core::diff(plan_, plan));
    plan_ = plan;
  }

  dataplane::KernelMaps& maps() { return datapath_->maps(); }

  /// Flips a backend's state in the map, as anybody may.
  void set_state(const std::string& backend, std::uint8_t state) {
    const auto wanted = socket_address(backend);
    for (std::uint32_t id = 1; id < maps().backends.capacity(); ++id) {
      auto& row = maps().backends[id];
      if (row.state != TOPOLB_BACKEND_FREE && dataplane::from_wire(row) == wanted)
        row.state = state;
    }
  }

  struct RightGuesses {
    double sets = 0;
    double backends = 0;
  };
  /// Programs fetch what a frontend most likely leads to before they know (maps/constants.h): the
  /// parts of all sets, and of the backends in them, that are in the page that is fetched.
  RightGuesses right_guesses() {
    const auto seed = maps().settings[0].frontend_seed;
    const auto constants =
        dataplane::search_constants(seed, {{"backends", maps().backends.capacity()},
                                           {"counters", maps().counters.capacity()},
                                           {"frontends", maps().frontends.capacity()},
                                           {"sets", maps().sets.capacity()}});
    const auto lines = dataplane::frontends_for(maps().frontends.capacity());
    RightGuesses right;
    double sets = 0;
    double backends = 0;
    for (const auto& row : dataplane::live_frontends(maps().frontends)) {
      const auto frontend = dataplane::key_of(row);
      const auto line = topolb_first_line(&frontend, seed, lines);
      const auto is_right = [&](std::uint32_t id, std::size_t size, std::uint32_t per_line) {
        return id * size / 4096 == topolb_near_row(line, constants.at(per_line)) * size / 4096;
      };
      const auto& set = maps().sets[row.inside_set];
      ++sets;
      right.sets += is_right(row.inside_set, sizeof(set), TOPOLB_SETS_PER_LINE);
      for (std::uint32_t slot = 0; slot < set.backend_count; ++slot) {
        ++backends;
        right.backends += is_right(*dataplane::slot_of(maps(), row.inside_set, slot),
                                   sizeof(topolb_backend), TOPOLB_BACKENDS_PER_LINE);
      }
    }
    return {right.sets / sets, right.backends / backends};
  }

  std::unique_ptr<Server> serve(const std::string& address, Protocol protocol = Protocol::TCP) {
    const auto host = socket_address(address).address.to_string();
    if (hosts_.insert(host).second) sandbox_.add_address(host);
    return std::make_unique<Server>(address, protocol);
  }

  Sandbox sandbox_;
  std::optional<dataplane::Datapath> datapath_;
  std::optional<dataplane::Publisher> publisher_;
  std::vector<core::ServicePortPlan> plan_;
  std::set<std::string> hosts_;
};

}  // namespace topolb::test
