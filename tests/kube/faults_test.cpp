// SPDX-License-Identifier: Apache-2.0
// Everything that goes wrong between a cluster and the agent, over real TLS: state is neither
// lost nor invented, and comes up to date again.
#include "test_server_fixture.h"

namespace topolb::kube {
namespace {

class ClusterSourceTest : public TestServerFixture {
 protected:
  using TestServerFixture::TestServerFixture;

  void SetUp() override {
    view = std::make_unique<ClusterView>(api(config()));
    ASSERT_TRUE(view->wait_synced()) << view->errors();
    ASSERT_EQ(view->names(), all_names());
    ASSERT_TRUE(view->wait([this] { return server.watches("resourceVersion=") == 3; }));
  }

  /// Whatever was done to the server, a change arrives, and nothing was removed on the way.
  void expect_up_to_date() {
    server.store().put(slice("a-2", "a", "10.1.0.2"));
    auto names = all_names();
    names.insert("EndpointSlice/default/a-2");
    EXPECT_TRUE(view->wait_objects(names)) << view->errors();
    EXPECT_EQ(view->removed, std::set<std::string>{});
  }

  std::unique_ptr<ClusterView> view;
};

TEST_F(ClusterSourceTest, FollowsChanges) {
  server.store().put(slice("a-2", "a", "10.1.0.2"));
  server.store().remove("Service", "default", "b");
  auto names = all_names();
  names.insert("EndpointSlice/default/a-2");
  names.erase("Service/default/b");
  EXPECT_TRUE(view->wait_objects(names));
}

TEST_F(ClusterSourceTest, AsksForWhatItNeedsOnly) {
  server.store().put(
      service("other", "10.96.0.9", R"("service.kubernetes.io/service-proxy-name":"x")"));
  server.store().put(slice("headless", "a", "10.1.0.9", R"(,"service.kubernetes.io/headless":"")"));
  server.store().put(node("n3", "z3"));
  expect_up_to_date();
}

TEST_F(ClusterSourceTest, FollowsEveryNodeOnDemandOnly) {
  view->source->watch_all_nodes(true);
  EXPECT_FALSE(view->source->has_synced());
  ASSERT_TRUE(view->wait_synced());
  auto names = all_names();
  names.insert("Node//n2");
  EXPECT_EQ(view->names(), names);
  view->source->watch_all_nodes(false);
  EXPECT_TRUE(view->wait_objects(all_names()));
  EXPECT_TRUE(view->source->has_synced());
}

TEST_F(ClusterSourceTest, ALabelOfTheOwnNodeArrives) {
  server.store().put(node("n1", "z9"));
  EXPECT_TRUE(view->wait([this] {
    const auto& own = std::get<core::Node>(view->find("Node//n1")->object);
    return own.labels.at(std::string(core::kZoneLabel)) == "z9";
  }));
}

TEST_F(ClusterSourceTest, ABrokenConnectionGoesOnWithoutAList) {
  const auto lists = server.requests("sendInitialEvents").size();
  server.break_connections();
  expect_up_to_date();
  EXPECT_EQ(server.requests("sendInitialEvents").size(), lists);
}

TEST_F(ClusterSourceTest, ARestartedServerIsFoundAgain) {
  server.stop();
  EXPECT_TRUE(view->removes_nothing(1s));
  EXPECT_FALSE(view->errors().empty());
  server.start();
  expect_up_to_date();
}

TEST_F(ClusterSourceTest, ACompactedVersionMeansAListWithTheDifferencesOnly) {
  server.stop();
  server.store().put(service("d", "10.96.0.4"));
  server.store().remove("Service", "default", "c");
  server.store().compact();
  const auto puts = view->puts;
  server.start();
  auto names = all_names();
  names.insert("Service/default/d");
  names.erase("Service/default/c");
  EXPECT_TRUE(view->wait_objects(names)) << view->errors();
  EXPECT_EQ(view->puts, puts + 1);
  EXPECT_EQ(view->removed, (std::set<std::string>{"Service/default/c"}));
}

TEST_F(ClusterSourceTest, ListsThatFailRemoveNothingAndAnEmptyOneIsObeyed) {
  server.stop();
  server.store().remove("EndpointSlice", "default", "a-1");
  server.store().compact();
  server.inject({.target = "endpointslices", .times = 4, .status = 500, .body = "etcd is gone"});
  server.start();
  auto names = all_names();
  names.erase("EndpointSlice/default/a-1");
  EXPECT_TRUE(view->wait_objects(names)) << view->errors();
  EXPECT_EQ(view->removed, (std::set<std::string>{"EndpointSlice/default/a-1"}));
}

TEST_F(ClusterSourceTest, ErrorEventsMeanAnotherTry) {
  server.send_line("services", R"({"type":"ERROR","object":{"kind":"Status","code":410}})"
                               "\n");
  server.send_line("slices", R"({"type":"ERROR","object":{"kind":"Status","code":500}})"
                             "\n");
  server.send_line("nodes", "no json\n");
  expect_up_to_date();
}

TEST_F(ClusterSourceTest, RepeatedAndStaleEventsChangeNothing) {
  const auto stored = server.store().list("EndpointSlice", {}).objects.front();
  server.store().put(slice("a-1", "a", "10.1.0.7"));
  const auto address = [this] {
    const auto& found =
        std::get<core::EndpointSlice>(view->find("EndpointSlice/default/a-1")->object);
    return found.endpoints.front().address.to_string();
  };
  ASSERT_TRUE(view->wait([&] { return address() == "10.1.0.7"; }));
  for (const char* type : {"ADDED", "MODIFIED", "DELETED"}) {
    server.send_line("slices",
                     fmt::format("{{\"type\":\"{}\",\"object\":{}}}\n", type, stored.serialize()));
  }
  expect_up_to_date();
  EXPECT_EQ(address(), "10.1.0.7");
}

TEST_F(ClusterSourceTest, StopsAtOnce) {
  const auto start = std::chrono::steady_clock::now();
  view.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 500ms);
}

struct StartFault {
  const char* name;
  test::Fault fault;
};

class StartFaultTest : public TestServerFixture, public testing::WithParamInterface<StartFault> {};

/// What goes wrong while the first lists are read, each kind's, and more than once.
TEST_P(StartFaultTest, EndsInTheWholeState) {
  for (const char* target : {"services", "slices", "nodes"}) {
    test::Fault fault = GetParam().fault;
    fault.target = target;
    server.inject(fault);
  }
  ClusterView view(api(config()));
  ASSERT_TRUE(view.wait_synced()) << view.errors();
  EXPECT_EQ(view.names(), all_names());
  EXPECT_EQ(view.removed, std::set<std::string>{});
}

INSTANTIATE_TEST_SUITE_P(
    Faults, StartFaultTest,
    testing::Values(StartFault{"InternalError", {.times = 3, .status = 500}},
                    StartFault{"Overload", {.times = 1, .status = 429, .header = "Retry-After: 1"}},
                    StartFault{"Gone", {.times = 2, .status = 410}},
                    StartFault{"LoginPage", {.times = 2, .status = 200, .body = "<html></html>"}},
                    StartFault{"NothingAtAll", {.times = 2, .cut = 0}},
                    StartFault{"CutInALine", {.times = 2, .cut = 250}},
                    StartFault{"Stall", {.times = 1, .cut = 100, .stall = true}},
                    StartFault{"SlowBytes",
                               {.times = 1, .per_byte = std::chrono::microseconds(200)}}),
    [](const auto& tested) { return tested.param.name; });

class NoStreamedListsTest : public TestServerFixture {
 protected:
  explicit NoStreamedListsTest(bool gzip = false)
      : TestServerFixture({.streams_lists = false, .gone_as_status = true, .gzip = gzip}) {}
};

TEST_F(NoStreamedListsTest, PagesDoAsWell) {
  ClusterView view(api(config()));
  ASSERT_TRUE(view.wait_synced()) << view.errors();
  EXPECT_EQ(view.names(), all_names());
  EXPECT_EQ(server.requests("continue=").size(), 1U);
  server.stop();
  server.store().remove("Service", "default", "c");
  server.store().compact();
  server.start();
  EXPECT_TRUE(view.wait([&] { return view.removed.contains("Service/default/c"); }));
}

class GzipTest : public NoStreamedListsTest {
 protected:
  GzipTest() : NoStreamedListsTest(true) {}
};

TEST_F(GzipTest, ListsMayBePacked) {
  ClusterView view(api(config()));
  ASSERT_TRUE(view.wait_synced()) << view.errors();
  EXPECT_EQ(view.names(), all_names());
}

TEST_F(GzipTest, APackedListCutShortIsNoList) {
  server.inject({.target = "services?limit", .times = 2, .cut = 150});
  ClusterView view(api(config()));
  ASSERT_TRUE(view.wait_synced()) << view.errors();
  EXPECT_EQ(view.names(), all_names());
}

/// Restored from a backup: its versions are older, so no event comes, and no bookmark either.
TEST_F(TestServerFixture, AnotherEtcdIsBelievedIfItStays) {
  auto options = ClusterView::fast_options();
  options.reflector.watch_deadlines.idle = 300ms;
  ClusterView view(api(config()), options);
  ASSERT_TRUE(view.wait_synced());
  server.stop();
  server.store().reset();
  server.store().put(node("n1", "z1"));
  server.start();
  const auto believed = [&view] { return view.names() == std::set<std::string>{"Node//n1"}; };
  EXPECT_TRUE(view.wait(believed, 60s)) << view.errors();  // three silent watches, three lists
}

/// A watch whose connection is open and dead.
TEST_F(TestServerFixture, AStalledWatchIsFoundByItsDeadline) {
  auto options = ClusterView::fast_options();
  options.reflector.watch_deadlines.idle = 500ms;
  server.inject({.target = "slices?watch=1&allow", .cut = 0, .stall = true, .first_line = "{}\n"});
  ClusterView view(api(config()), options);
  ASSERT_TRUE(view.wait_synced());
  server.store().put(slice("a-2", "a", "10.1.0.2"));
  EXPECT_TRUE(view.wait([&] { return view.find("EndpointSlice/default/a-2") != nullptr; }))
      << view.errors();
}

}  // namespace
}  // namespace topolb::kube
