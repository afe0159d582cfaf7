// SPDX-License-Identifier: Apache-2.0
// A datapath whose maps fit its plan, and grow as an agent has them grow.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/map_sizes.h"
#include "dataplane/pins.h"
#include "support/datapath_fixture.h"

namespace topolb::test {

inline constexpr const char* kFrontend = "10.96.0.1:80";
inline const std::string kOne = "10.1.0.1:80";
inline const std::string kTwo = "10.1.0.2:80";

class Growth : public DatapathTest {
 protected:
  Growth() : one_(serve(kOne)), two_(serve(kTwo)), dns_(serve(kOne, Protocol::UDP)) {}

  /// With affinity, so that there is something to remember.
  static std::vector<core::ServicePortPlan> web() {
    auto tcp = service("web", kFrontend, Protocol::TCP, traffic({{"", {kOne, kTwo}}}));
    tcp.affinity_timeout_s = 10800;
    return {tcp, service("web", kFrontend, Protocol::UDP, traffic({{"", {kOne}}}))};
  }

  /// Each has a backend of its own, another one in each version.
  static std::vector<core::ServicePortPlan> apart(int services, int version) {
    std::vector<core::ServicePortPlan> plan;
    for (int i = 0; i < services; ++i) {
      plan.push_back(
          service(fmt::format("apart{:05}", i), fmt::format("10.99.{}.{}:80", i / 250, i % 250),
                  Protocol::TCP,
                  traffic({{"", {fmt::format("10.{}.{}.{}:80", version, i / 250, i % 250)}}})));
    }
    return plan;
  }

  /// web(), and so many others: each has a backend that all share, and some of its own.
  static std::vector<core::ServicePortPlan> web_and(int others) {
    auto plan = web();
    for (int i = 0; i < others; ++i) {
      std::vector<std::string> backends{kOne};
      for (int own = 0; own < i % 20; ++own) {
        backends.push_back(fmt::format("10.7.{}.{}:{}", i / 250, i % 250, 1000 + own));
      }
      plan.push_back(service(fmt::format("other{:05}", i),
                             fmt::format("10.97.{}.{}:80", i / 250, i % 250), Protocol::TCP,
                             traffic({{"", backends}})));
    }
    std::sort(plan.begin(), plan.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
    return plan;
  }

  void start_small(const std::vector<core::ServicePortPlan>& plan,
                   const dataplane::MapSizes& limits = {}) {
    auto options = sandbox_.options();
    options.limits = limits;
    start(plan, options, dataplane::sizes_needed(core::share(plan)));
  }

  /// As the agent does; whether the maps were made anew.
  bool grow_to(const std::vector<core::ServicePortPlan>& plan) {
    return prepare_to_grow_to(plan) && switch_over();
  }

  bool switch_over() {
    const auto attached = datapath_->attach();
    EXPECT_TRUE(attached) << attached.error().message();
    datapath_->drop_replaced_maps();
    return true;
  }

  /// As far as programs use the maps before.
  bool prepare_to_grow_to(const std::vector<core::ServicePortPlan>& plan) {
    auto needed = dataplane::sizes_needed(core::share(plan));
    publisher_->add_refused(needed);
    return prepare_to_grow_to(plan, needed);
  }

  bool prepare_to_grow_to(const std::vector<core::ServicePortPlan>& plan,
                          const dataplane::MapSizes& needed) {
    const auto made = datapath_->make_room(needed);
    EXPECT_TRUE(made) << made.error().message();
    if (!made || !*made) return false;
    publisher_.emplace(datapath_->maps());
    publisher_->take_over(plan);
    plan_ = plan;
    return true;
  }

  std::uint64_t connections(const std::string& name) {
    for (const auto& kernel : dataplane::read_kernel_state(maps()).services) {
      if (kernel.key.service.name != name || kernel.key.protocol != Protocol::TCP) continue;
      return maps().counters.read(kernel.first_counter, 2)[TOPOLB_COUNTER_WITHOUT_KEY];
    }
    return 0;
  }

  std::map<std::string, std::uint32_t> entries_of_pins() {
    std::map<std::string, std::uint32_t> entries;
    for (const auto& name : dataplane::pinned_map_names()) {
      const auto fd = dataplane::open_pinned(dataplane::pin_of_map(sandbox_.pin_path(), name));
      const auto info = fd ? dataplane::map_info(fd->get(), name) : fd.error();
      if (info) entries[name] = info->max_entries;
    }
    return entries;
  }

 private:
  std::unique_ptr<Server> one_;
  std::unique_ptr<Server> two_;
  std::unique_ptr<Server> dns_;
};

}  // namespace topolb::test
