// SPDX-License-Identifier: Apache-2.0
// Flows opened and closed by the thousand, on two CPUs, under a collector that never rests; and
// more flows than there is room for. Source: issue of the per-packet path, Must show 4. A million
// flows over a table of 65,536 are part of the long profile (CONTRIBUTING.md).
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "dataplane/flow_collector.h"
#include "support/flow_model.h"

namespace topolb::test {
namespace {

constexpr std::chrono::seconds kMeetAll{TOPOLB_FLOW_UDP_REPLIED_S / 8};

struct Size {
  std::uint32_t room;    // of the table
  std::uint32_t live;    // flows at a time, of each of two
  std::uint32_t opened;  // flows, by each of two
};

// Tables of either kind (docs/decisions/0049).
std::vector<Size> sizes_of_run() {
  if (std::getenv("TOPOLB_LONG_TESTS") == nullptr) {
    return {{4096, 1900, 10000}, {65536, 1900, 10000}};
  }
  return {{32768, 15000, 100000}, {65536, 30000, 500000}};
}

/// A collector that goes round and round in a thread of its own.
class BusyCollector {
 public:
  explicit BusyCollector(dataplane::FlowTable& table)
      : collector_(table), thread_([&] { run(); }) {}
  ~BusyCollector() {
    ends_ = true;
    thread_.join();
  }
  BusyCollector(const BusyCollector&) = delete;
  BusyCollector& operator=(const BusyCollector&) = delete;

  /// Until what was over before is gone.
  void wait() const {
    const auto enough = ticks_ + dataplane::FlowCollector::kSlices + 1;
    while (ticks_ < enough) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

 private:
  void run() {
    for (; !ends_; ++ticks_) {
      collector_.tick(dataplane::flow_time_now());
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  }

  dataplane::FlowCollector collector_;
  std::atomic<bool> ends_ = false;
  std::atomic<std::uint64_t> ticks_ = 0;
  std::thread thread_;
};

void churn(FlowModel& model, const BusyCollector& collector, const Size& size) {
  auto met_all = std::chrono::steady_clock::now();
  while (model.size() < size.live) ASSERT_TRUE(model.open());
  for (auto opened = size.live; opened < size.opened; ++opened) {
    model.close_random();
    ASSERT_TRUE(model.open()) << opened;
    model.exchange_random();
    if (opened % (size.live / 8) == 0) {
      model.expire_silent();
      collector.wait();  // so that there is room
      // On a slow machine nobody's datagrams are to stay away for as long as ends their flow.
      if (std::chrono::steady_clock::now() - met_all > kMeetAll) {
        model.exchange_all();
        met_all = std::chrono::steady_clock::now();
      }
    }
    if (::testing::Test::HasFailure()) return;
  }
  model.exchange_all();
  model.expire_silent();
  collector.wait();
}

class FlowChurn : public ::testing::TestWithParam<Size> {};

TEST_P(FlowChurn, NoFlowIsLostOrLeftOrMistaken) {
  const auto size = GetParam();
  PacketPath path(size.room);
  publish_modelled_services(path);
  const BusyCollector collector(path.flows());
  std::vector<FlowModel> models;
  for (std::uint32_t number : {1, 2}) models.emplace_back(path, number);
  std::vector<std::thread> threads;
  threads.reserve(models.size());
  for (auto& model : models) {
    threads.emplace_back([&] { churn(model, collector, size); });
  }
  for (auto& thread : threads) thread.join();
  ASSERT_FALSE(HasFailure()) << path.flows().count() << " flows, of them "
                             << models[0].size() + models[1].size() << " live";

  EXPECT_EQ(path.flows().count(), models[0].size() + models[1].size());
  EXPECT_EQ(path.flows().slot_count(), 2 * path.flows().count());
  EXPECT_EQ(path.event(TOPOLB_EVENT_FLOW_OPENED), 2 * size.opened);
  for (const auto event :
       {TOPOLB_EVENT_FLOW_REFUSED, TOPOLB_EVENT_FLOW_WITHOUT_PORT, TOPOLB_EVENT_FLOW_EVICTED,
        TOPOLB_EVENT_UNKNOWN_FLOW, TOPOLB_EVENT_FAILED}) {
    EXPECT_EQ(path.event(event), 0U) << event;
  }
  for (auto& model : models) {
    model.close_all();
    model.expire_silent();
  }
  collector.wait();
  EXPECT_EQ(path.flows().count(), 0U);
  EXPECT_EQ(path.flows().slot_count(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Sizes, FlowChurn, testing::ValuesIn(sizes_of_run()));

// A SYN flood fills the table, answered by the backends: what is established stays, and who comes
// by then gets in.
TEST(FlowPressure, FloodTakesNoEstablishedFlow) {
  PacketPath path(2048);
  publish_modelled_services(path);
  FlowModel clients(path, 1);
  FlowModel flood(path, 2);
  while (clients.size() < 1000) ASSERT_TRUE(clients.open());
  for (int packet = 0; packet < 20000; ++packet) {
    ASSERT_TRUE(flood.open_halfway()) << packet;
    if (packet % 50 == 0) {
      ASSERT_TRUE(clients.open()) << packet;
      clients.exchange_random();
    }
  }
  clients.exchange_all();
  EXPECT_GT(path.event(TOPOLB_EVENT_FLOW_EVICTED), 10000U);
  EXPECT_EQ(path.event(TOPOLB_EVENT_FLOW_REFUSED), 0U);
  EXPECT_EQ(path.event(TOPOLB_EVENT_UNKNOWN_FLOW), 0U);
}

// Clients of a resolver come by once, each with a port of its own.
TEST(FlowPressure, DatagramsMakeRoomForOthers) {
  constexpr std::uint32_t kRoom = 1024;
  PacketPath path(kRoom);
  publish_modelled_services(path);
  FlowModel connections(path, 1, Protocol::TCP);
  FlowModel datagrams(path, 2, Protocol::UDP);
  while (connections.size() < kRoom / 4) ASSERT_TRUE(connections.open());
  for (std::uint32_t client = 0; client < 8 * kRoom; ++client) {
    ASSERT_TRUE(datagrams.open_once()) << client;
  }
  while (connections.size() < kRoom / 2) ASSERT_TRUE(connections.open());
  connections.exchange_all();
  EXPECT_GT(path.event(TOPOLB_EVENT_FLOW_EVICTED), 6 * kRoom);
  EXPECT_EQ(path.event(TOPOLB_EVENT_FLOW_REFUSED), 0U);
}

// The client was told, or has hung up, seconds ago.
TEST(FlowPressure, ConnectionsThatWereResetMakeRoom) {
  constexpr std::uint32_t kRoom = 1024;
  PacketPath path(kRoom);
  publish_modelled_services(path);
  FlowModel connections(path, 1, Protocol::TCP);
  for (std::uint32_t client = 0; client < 8 * kRoom; ++client) {
    ASSERT_TRUE(connections.open()) << client;
    if (connections.size() > kRoom / 2) connections.reset_random();
  }
  connections.exchange_all();
  EXPECT_EQ(path.event(TOPOLB_EVENT_FLOW_REFUSED), 0U);
}

// Marks stay: those of a table that was full long ago must not keep anybody out.
TEST(FlowPressure, MarksOfFullLinesKeepNobodyOut) {
  constexpr std::uint32_t kRoom = 2048;
  PacketPath path(kRoom);
  publish_modelled_services(path);
  for (std::uint32_t line = 0; line < path.flows().facts().lines; ++line) {
    path.flows().line(line).is_overflowed = 1;
  }
  FlowModel clients(path, 1);
  while (clients.size() < kRoom) ASSERT_TRUE(clients.open()) << clients.size();
  EXPECT_EQ(path.event(TOPOLB_EVENT_FLOW_WITHOUT_PORT), 0U);
  clients.exchange_all();
}

TEST(FlowPressure, FullOfEstablishedFlowsNewOnesAreRefused) {
  constexpr std::uint32_t kRoom = 1024;
  PacketPath path(kRoom);
  publish_modelled_services(path);
  FlowModel clients(path, 1, Protocol::TCP);
  while (clients.size() < kRoom) ASSERT_TRUE(clients.open()) << "within what is promised";
  for (int attempt = 0; attempt < 2000; ++attempt) clients.open();
  EXPECT_EQ(clients.size(), path.flows().count());
  EXPECT_EQ(clients.size(), path.flows().capacity()) << "all of its room";
  EXPECT_GT(path.event(TOPOLB_EVENT_FLOW_REFUSED), 1000U);
  EXPECT_EQ(path.event(TOPOLB_EVENT_FLOW_EVICTED), 0U);
  clients.exchange_all();
}

}  // namespace
}  // namespace topolb::test
