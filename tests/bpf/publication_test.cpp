// SPDX-License-Identifier: Apache-2.0
// Atomic publication and bounded tables. Source: design.md 5.
#include <fmt/format.h>

#include <atomic>

#include "support/datapath_fixture.h"

namespace topolb::test {
namespace {

constexpr const char* kFrontend = "10.96.0.1:80";

class Publication : public DatapathTest {
 protected:
  static core::ServicePortPlan web(const std::vector<std::string>& backends) {
    return service("web", kFrontend, Protocol::TCP, traffic({{"", backends}}));
  }

  std::uint32_t used(const std::string& map) const {
    for (const auto& fill : publisher_->fill()) {
      if (fill.name == map) return fill.used;
    }
    ADD_FAILURE() << "no map " << map;
    return 0;
  }
};

class Guesses : public Publication {
 protected:
  static constexpr int kServices = 2000;
  static constexpr int kBackends = 5;

  static std::vector<core::ServicePortPlan> services(int version) {
    std::vector<core::ServicePortPlan> plan;
    for (int i = 0; i < kServices; ++i) {
      std::vector<std::string> backends{
          fmt::format("10.{}.{}.{}:80", 8 + version, i >> 8, i & 255)};
      for (int k = 1; k < kBackends; ++k) {
        backends.push_back(fmt::format("10.{}.{}.{}:80", 128 + k, i >> 8, i & 255));
      }
      plan.push_back(service(fmt::format("s{:04}", i),
                             fmt::format("10.96.{}.{}:80", i >> 8, i & 255), Protocol::TCP,
                             traffic({{"", backends}})));
    }
    return plan;
  }
};

TEST_F(Guesses, AreMostlyRightAndStaySo) {
  const auto first = services(0);
  start(first, sandbox_.options(), dataplane::sizes_needed(core::share(first)));
  EXPECT_GE(right_guesses().sets, 0.85);
  EXPECT_GE(right_guesses().backends, 0.75);
  for (int version = 1; version <= 10; ++version) {
    change_to(services(version));
    publisher_->reclaim();
  }
  EXPECT_GE(right_guesses().sets, 0.85);
  EXPECT_GE(right_guesses().backends, 0.65);
}

// Two disjoint sets of backends, switched 10,000 times under a storm of connections. Each
// connection must work, and must have been given to a backend of a set that was published at some
// moment of the connect(): with the count of switches read before and after it, and no switch
// between them, that is exactly one set.
TEST_F(Publication, TenThousandSwitchesUnderAStormNeverFailOrMix) {
  const std::vector<std::vector<std::string>> sets{
      {"10.1.0.1:80", "10.1.0.2:80", "10.1.0.3:80"},
      {"10.2.0.1:80", "10.2.0.2:80", "10.2.0.3:80", "10.2.0.4:80"}};
  std::vector<std::unique_ptr<Server>> servers;
  for (const auto& set : sets) {
    for (const auto& backend : set) servers.push_back(serve(backend));
  }
  start({web(sets[0])});

  constexpr int kSwitches = 10'000;
  std::atomic<int> begun{0};  // switches begun, and ended
  std::atomic<int> ended{0};
  std::atomic<int> failed{0};
  std::atomic<int> stale{0};
  std::atomic<int> dialled{0};
  std::atomic<int> judged{0};
  const auto storm = [&] {
    while (ended < kSwitches || dialled < 2000) {
      const int before = ended;
      const auto seen = dial_tcp(kFrontend);
      const int after = begun;
      ++dialled;
      if (seen.error != 0 || seen.backend.empty()) {
        ++failed;
      } else if (before == after) {
        ++judged;
        const auto& now = sets[static_cast<std::size_t>(before % 2)];
        if (std::find(now.begin(), now.end(), seen.backend) == now.end()) ++stale;
      }
    }
  };
  std::vector<std::thread> clients;
  for (int i = 0; i < 2; ++i) clients.emplace_back(storm);
  for (int i = 1; i <= kSwitches; ++i) {
    ++begun;
    change_to({web(sets[static_cast<std::size_t>(i % 2)])});
    ++ended;
    if (i % 20 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(stale, 0);
  EXPECT_GT(dialled, 1000);
  EXPECT_GT(judged, 100);
  EXPECT_TRUE(publisher_->problems().empty());
}

TEST_F(Publication, AChangeTouchesItsServiceOnly) {
  std::vector<core::ServicePortPlan> plan;
  for (int i = 0; i < 100; ++i) {
    plan.push_back(service(fmt::format("s{}", 1000 + i), fmt::format("10.96.1.{}:80", i),
                           Protocol::TCP, traffic({{"", {"10.1.0.1:80", "10.1.0.2:80"}}})));
  }
  start(plan);
  const auto before = dataplane::read_kernel_state(maps());
  auto changed = plan;
  changed[42].internal = traffic({{"", {"10.1.0.3:80"}}});
  change_to(changed);
  const auto after = dataplane::read_kernel_state(maps());
  ASSERT_EQ(after.services.size(), before.services.size());
  for (std::size_t i = 0; i < after.services.size(); ++i) {
    EXPECT_EQ(after.services[i].id, before.services[i].id);
    EXPECT_EQ(after.services[i].internal.set_ids == before.services[i].internal.set_ids, i != 42);
  }
}

TEST_F(Publication, NothingLeaksOverManyChanges) {
  start({web({"10.1.0.1:80"})});
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::string> backends;
    for (int i = 0; i <= round % 40; ++i) {
      backends.push_back(fmt::format("10.1.{}.{}:80", round % 200, i));
    }
    change_to({web(backends)});
  }
  change_to({web({"10.1.0.1:80"})});
  publisher_->reclaim();
  EXPECT_EQ(used("backends"), 1U);
  EXPECT_EQ(used("sets"), 1U);
  EXPECT_EQ(used("slots"), 0U) << "one backend lies in the set itself";
  change_to({});
  publisher_->reclaim();
  for (const auto& fill : publisher_->fill()) EXPECT_EQ(fill.used, 0U) << fill.name;
  for (const auto& row : maps().backends.rows()) ASSERT_EQ(row.state, TOPOLB_BACKEND_FREE);
  for (const auto& row : maps().sets.rows()) ASSERT_EQ(row.verdict, TOPOLB_VERDICT_NONE);
}

TEST_F(Publication, AFullMapKeepsWhatIsThereAndIsAProblem) {
  const auto server = serve("10.1.0.1:80");
  auto options = sandbox_.options();
  options.limits.backends = 4;  // ids 1 to 3
  start({web({"10.1.0.1:80"})}, options);
  const auto big = service("big", "10.96.0.2:80", Protocol::TCP,
                           traffic({{"", {"10.2.0.1:80", "10.2.0.2:80", "10.2.0.3:80"}}}));
  change_to({big, web({"10.1.0.1:80"})});
  const auto problems = publisher_->problems();
  ASSERT_FALSE(problems.empty());
  EXPECT_EQ(problems.front().name, "big");
  EXPECT_EQ(problems.front().reason, "MapFull");
  EXPECT_EQ(dial_tcp(kFrontend).backend, "10.1.0.1:80");
  // Room comes back: the Service that was kept out is programmed without being asked again.
  change_to({big});
  EXPECT_TRUE(publisher_->problems().empty());
  EXPECT_EQ(dataplane::read_kernel_state(maps()).services.size(), 1U);
}

// What could not be switched counts on, where it did; nobody else gets its counters.
TEST_F(Publication, CountersStayWithTheSetsThatUseThem) {
  const auto server = serve("10.1.0.1:80");
  auto options = sandbox_.options();
  options.limits.backends = 4;  // ids 1 to 3
  const auto backends = traffic({{"", {"10.1.0.1:80"}}});
  start({web({"10.1.0.1:80"})}, options);
  // Three counters, and more backends than there may be.
  const auto too_big =
      service("web", kFrontend, Protocol::TCP,
              traffic({{"zone", {"10.1.0.1:80", "10.1.0.2:80", "10.1.0.3:80", "10.1.0.4:80"}}}));
  change_to({too_big});
  ASSERT_FALSE(publisher_->problems().empty());
  publisher_->reclaim();
  const auto other = service("other", "10.96.0.2:80", Protocol::TCP, backends);
  change_to({other, too_big});
  EXPECT_EQ(dial_tcp(kFrontend).backend, "10.1.0.1:80");
  for (const auto& kernel : dataplane::read_kernel_state(maps()).services) {
    EXPECT_EQ(maps().counters.read(kernel.first_counter, 2)[TOPOLB_COUNTER_WITHOUT_KEY],
              kernel.key.service.name == "web" ? 1U : 0U)
        << kernel.key.service.name;
  }
}

TEST_F(Publication, EqualTrafficSharesOneSet) {
  auto plan = web({"10.1.0.1:80"});
  add_frontend(plan, core::FrontendKind::ExternalIP, "198.51.100.1:80",
               traffic({{"", {"10.1.0.1:80"}}}));
  start({plan});
  EXPECT_EQ(used("sets"), 1U);
  plan.external = traffic({{"", {"10.1.0.2:80"}}});
  change_to({plan});
  publisher_->reclaim();
  EXPECT_EQ(used("sets"), 2U);
}

TEST_F(Publication, AFrontendThatMovesToAnotherServiceNeverFails) {
  const auto a = serve("10.1.0.1:80");
  const auto b = serve("10.1.0.2:80");
  const auto one = service("one", kFrontend, Protocol::TCP, traffic({{"", {"10.1.0.1:80"}}}));
  auto two = service("two", kFrontend, Protocol::TCP, traffic({{"", {"10.1.0.2:80"}}}));
  start({one});
  EXPECT_EQ(dial_tcp(kFrontend).backend, "10.1.0.1:80");
  change_to({two});
  EXPECT_EQ(dial_tcp(kFrontend).backend, "10.1.0.2:80");
}

TEST_F(Publication, AFrontendThatMovesToAServiceWithoutRoomIsNobodys) {
  const auto server = serve("10.1.0.2:80");
  auto options = sandbox_.options();
  options.limits.backends = 4;  // ids 1 to 3
  start({service("one", kFrontend, Protocol::TCP, traffic({{"", {"10.1.0.1:80"}}}))}, options);
  const auto two =
      service("two", kFrontend, Protocol::TCP,
              traffic({{"", {"10.1.0.1:80", "10.1.0.2:80", "10.1.0.3:80", "10.1.0.4:80"}}}));
  change_to({two});
  publisher_->reclaim();
  // It gets the set that one had.
  change_to(
      {service("three", "10.96.0.3:80", Protocol::TCP, traffic({{"", {"10.1.0.2:80"}}})), two});
  EXPECT_EQ(dial_tcp("10.96.0.3:80").backend, "10.1.0.2:80");
  EXPECT_EQ(dial_tcp(kFrontend).backend, "");
}

}  // namespace
}  // namespace topolb::test
