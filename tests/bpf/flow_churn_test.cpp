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

struct Size {
  std::uint32_t room;    // of the table
  std::uint32_t live;    // flows at a time, of each of two
  std::uint32_t opened;  // flows, by each of two
};

Size size_of_run() {
  return std::getenv("TOPOLB_LONG_TESTS") == nullptr ? Size{4096, 1900, 10000}
                                                     : Size{65536, 30000, 500000};
}

void churn(FlowModel& model, const Size& size) {
  while (model.size() < size.live) ASSERT_TRUE(model.open());
  for (auto opened = size.live; opened < size.opened; ++opened) {
    model.close_random();
    ASSERT_TRUE(model.open()) << opened;
    model.exchange_random();
    if (opened % (size.live / 8) == 0) model.expire_silent();
    if (::testing::Test::HasFailure()) return;
  }
  model.exchange_all();
}

TEST(FlowChurn, NoFlowIsLostOrLeftOrMistaken) {
  const auto size = size_of_run();
  PacketPath path(size.room);
  publish_modelled_services(path);
  dataplane::FlowCollector collector(path.flows());
  std::vector<FlowModel> models;
  for (std::uint32_t number : {1, 2}) models.emplace_back(path, number);
  std::atomic<int> running = 2;
  std::vector<std::thread> threads;
  threads.reserve(models.size());
  for (auto& model : models) {
    threads.emplace_back([&] {
      churn(model, size);
      --running;
    });
  }
  while (running > 0) {
    collector.tick(dataplane::flow_time_now());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (auto& thread : threads) thread.join();
  ASSERT_FALSE(HasFailure());

  const auto collect = [&] {
    for (auto& model : models) model.expire_silent();
    for (std::uint32_t slice = 0; slice < dataplane::FlowCollector::kSlices; ++slice) {
      collector.tick(dataplane::flow_time_now());
    }
  };
  collect();
  EXPECT_EQ(path.flows().count(), models[0].size() + models[1].size());
  EXPECT_EQ(path.flows().reply_count(), path.flows().count());
  EXPECT_EQ(collector.flows(), path.flows().count());
  EXPECT_EQ(path.event(TOPOLB_EVENT_FLOW_OPENED), 2 * size.opened);
  for (const auto event : {TOPOLB_EVENT_FLOW_REFUSED, TOPOLB_EVENT_FLOW_EVICTED,
                           TOPOLB_EVENT_UNKNOWN_FLOW, TOPOLB_EVENT_FAILED}) {
    EXPECT_EQ(path.event(event), 0U) << event;
  }
  for (auto& model : models) model.close_all();
  collect();
  EXPECT_EQ(path.flows().count(), 0U);
  EXPECT_EQ(path.flows().reply_count(), 0U);
}

// A SYN flood fills the table: what is established stays, and who comes by then gets in.
TEST(FlowPressure, FloodTakesNoEstablishedFlow) {
  PacketPath path(2048);
  publish_modelled_services(path);
  FlowModel clients(path, 1);
  FlowModel flood(path, 2);
  while (clients.size() < 1000) ASSERT_TRUE(clients.open());
  for (int packet = 0; packet < 20000; ++packet) {
    ASSERT_TRUE(flood.open_unanswered()) << packet;
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

TEST(FlowPressure, FullOfEstablishedFlowsNewOnesAreRefused) {
  constexpr std::uint32_t kRoom = 1024;
  PacketPath path(kRoom);
  publish_modelled_services(path);
  FlowModel clients(path, 1);
  while (clients.size() < kRoom) ASSERT_TRUE(clients.open()) << "within what is promised";
  for (int attempt = 0; attempt < 2000; ++attempt) clients.open();
  EXPECT_EQ(clients.size(), path.flows().count());
  EXPECT_GT(clients.size(), path.flows().capacity() * 95 / 100);
  EXPECT_GT(path.event(TOPOLB_EVENT_FLOW_REFUSED), 1000U);
  EXPECT_EQ(path.event(TOPOLB_EVENT_FLOW_EVICTED), 0U);
  clients.exchange_all();
}

}  // namespace
}  // namespace topolb::test
