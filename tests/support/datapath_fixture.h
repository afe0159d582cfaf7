// SPDX-License-Identifier: Apache-2.0
// A loaded and attached datapath in a sandbox, brought to a plan.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dataplane/datapath.h"
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
