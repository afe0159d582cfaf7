// SPDX-License-Identifier: Apache-2.0
// Where the keys of a flow stand in the index, by the client's packets and by the replies:
// docs/decisions/0049 and 0052.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "support/packet_path.h"

namespace topolb::test {
namespace {

const std::vector<std::string> kBackends{"10.1.0.1:8080", "10.1.0.2:8080"};
constexpr const char* kLoadBalancer = "203.0.113.5:80";

class TcFlowPlaces : public ::testing::Test {
 protected:
  TcFlowPlaces() {
    path_.settings().masquerade_port_min = kFirstPort;  // as an agent has them
    path_.settings().masquerade_port_max = 29999;
  }

  void publish(const std::vector<std::string>& backends) {
    path_.publish({service("web", kLoadBalancer, Protocol::TCP, traffic({{"", backends}}))});
  }
  Outcome dial(const std::string& client) {
    PacketSpec spec;
    spec.source = client;
    spec.destination = kLoadBalancer;
    spec.tcp_flags = kSyn;
    return path_.run(Hook::Ingress, build(spec));
  }
  [[nodiscard]] const topolb_flow_facts& facts() { return path_.flows().facts(); }
  __u64 hash(__u64 base, std::uint16_t port) {
    return topolb_flow_hash(base, port, facts().port_step);
  }
  topolb_flow_place place(__u64 hash) {
    return topolb_flow_place_of(hash, facts().lines, facts().id_bits);
  }
  __u64 base_of_client(const topolb_flow& flow) {
    return topolb_flow_base(&flow.client, &flow.frontend, flow.frontend_port_be, flow.protocol,
                            facts().seed);
  }
  __u64 base_of_replies(const topolb_flow& flow) {
    return topolb_flow_base(&flow.backend, &path_.flows().address_seen_by_backend(flow),
                            flow.backend_port_be, flow.protocol,
                            topolb_flow_replys_seed(facts().seed));
  }

  topolb_flow_place clients_place(const topolb_flow& flow) {
    return place(hash(base_of_client(flow), ntohs(flow.client_port_be)));
  }
  topolb_flow_place replys_place(const topolb_flow& flow) {
    return place(hash(base_of_replies(flow), ntohs(flow.source_port_be)));
  }
  std::uint32_t clients_line(const topolb_flow& flow) { return clients_place(flow).lines[0]; }
  std::uint32_t replys_line(const topolb_flow& flow) { return replys_place(flow).lines[0]; }
  /// For a way that is taken by somebody else.
  std::uint32_t slot_of_neither_tag(const topolb_flow& flow) {
    std::uint32_t tag = 1;
    while (tag == clients_place(flow).tag || tag == replys_place(flow).tag) ++tag;
    return topolb_flow_slot(tag, 0, facts().id_bits);
  }

  /// The only flow.
  topolb_flow flow() {
    topolb_flow found{};
    EXPECT_EQ(path_.flows().count(), 1U);
    path_.flows().for_each([&](std::uint32_t, const topolb_flow& one) { found = one; });
    return found;
  }
  void remove_all() {
    path_.flows().for_each(
        [&](std::uint32_t id, const topolb_flow& one) { path_.flows().remove(id, one); });
  }

  static constexpr std::uint16_t kFirstPort = 1024;
  PacketPath path_{TOPOLB_MAX_FLOWS};
};

// Replies are looked for in the line that the client's packets have just brought into the caches.
TEST_F(TcFlowPlaces, RepliesStandInTheClientsLine) {
  constexpr std::uint32_t kFlows = 1000;
  publish(kBackends);
  for (std::uint32_t number = 0; number < kFlows; ++number) {
    dial(fmt::format("198.51.{}.{}:{}", number / 200, number % 200, 1024 + 61 * number));
  }
  std::uint32_t together = 0;
  path_.flows().for_each([&](std::uint32_t, const topolb_flow& flow) {
    together += clients_line(flow) == replys_line(flow) ? 1 : 0;
  });
  EXPECT_EQ(path_.flows().count(), kFlows);
  EXPECT_GE(together, kFlows - kFlows / 25) << "but where another flow has the port";
}

// Keys that can't stand elsewhere need the rest of the line.
TEST_F(TcFlowPlaces, RepliesStandElsewhereWhenTheLineFillsUp) {
  publish({kBackends[0]});
  dial("198.51.100.7:1024");
  const auto first = flow();
  auto& line = path_.flows().line(clients_line(first));
  // How many lines the replies stand from the client's, if so many ways are taken.
  const auto apart = [&](std::uint32_t taken) {
    remove_all();
    std::fill_n(static_cast<std::uint32_t*>(line.slots), taken, slot_of_neither_tag(first));
    dial("198.51.100.7:1024");
    const auto now = flow();
    return (replys_line(now) + facts().lines - clients_line(now)) % facts().lines;
  };
  EXPECT_EQ(apart(TOPOLB_FLOW_WAYS_OF_CHOICE - 1), 0U) << "the last way that it may have";
  EXPECT_EQ(apart(TOPOLB_FLOW_WAYS_OF_CHOICE), TOPOLB_PORTS_BETWEEN);
  EXPECT_EQ(line.is_overflowed, 0U);
}

// Where there is no other port.
TEST_F(TcFlowPlaces, TheOnlyPortTakesTheRestOfItsLine) {
  publish({kBackends[0]});
  path_.settings().masquerade_port_max = kFirstPort;
  dial("198.51.100.7:1024");
  const auto first = flow();
  auto& line = path_.flows().line(replys_line(first));
  for (const auto taken : {TOPOLB_FLOW_WAYS_OF_CHOICE, TOPOLB_FLOW_WAYS}) {
    remove_all();
    std::fill_n(static_cast<std::uint32_t*>(line.slots), taken, slot_of_neither_tag(first));
    EXPECT_EQ(dial("198.51.100.7:1024").action, kRedirect) << taken << " ways are taken";
    EXPECT_EQ(path_.flows().count(), 1U);
  }
  EXPECT_EQ(line.is_overflowed, 1U);
}

// Both keys of such a flow would have the same slot.
TEST_F(TcFlowPlaces, MayBeOneLineWithOneTag) {
  publish({kBackends[0]});
  topolb_flow model{};
  dial("198.51.100.7:1");
  path_.flows().for_each([&](std::uint32_t, const topolb_flow& flow) { model = flow; });
  const auto base = base_of_replies(model);
  std::vector<std::string> clients;
  int found = 0;
  for (int number = 0; found < 3 && number < 1 << 22; ++number) {
    model.client.bytes[14] = static_cast<std::uint8_t>(number >> 15);
    const auto port = static_cast<std::uint16_t>(2 * number + 1);
    const auto clients_hash = hash(base_of_client(model), port);
    const auto near =
        topolb_flow_port_near(clients_hash, base, kFirstPort, facts().port_step, facts().lines);
    if (near > path_.settings().masquerade_port_max) continue;
    const auto replys_hash = hash(base, static_cast<std::uint16_t>(near));
    if (place(clients_hash).tag != place(replys_hash).tag ||
        place(clients_hash).lines[0] != place(replys_hash).lines[0]) {
      continue;
    }
    ++found;
    const auto client = fmt::format("198.51.{}.7:{}", model.client.bytes[14], port);
    const auto there = dial(client);
    clients.push_back(client);
    ASSERT_EQ(there.action, kRedirect) << client;
    EXPECT_EQ(dial(client).view().source, there.view().source);
    PacketSpec answer;
    answer.source = there.view().destination;
    answer.destination = there.view().source;
    answer.tcp_flags = kSyn | kAck;
    EXPECT_EQ(path_.run(Hook::Ingress, build(answer)).view().destination, client);
  }
  EXPECT_EQ(found, 3);
  auto& table = path_.flows();
  const auto flows = table.count();
  EXPECT_EQ(flows, 4U);
  EXPECT_EQ(table.slot_count(), 2 * flows);
  // The agent's way of the same, as when a table grows.
  table.for_each([&](std::uint32_t id, const topolb_flow& flow) {
    ASSERT_TRUE(table.remove(id, flow));
    EXPECT_TRUE(table.insert(flow));
  });
  EXPECT_EQ(table.slot_count(), 2 * flows);
  // A program takes out what a client opens anew when it is over.
  path_.age_flows(2 * TOPOLB_FLOW_TCP_ESTABLISHED_S);
  for (const auto& client : clients) EXPECT_EQ(dial(client).action, kRedirect);
  EXPECT_EQ(table.count(), flows);
  EXPECT_EQ(table.slot_count(), 2 * flows);
}

// Else the next connection of a client would often have the port of one that it has just closed,
// which the backend may still know.
TEST_F(TcFlowPlaces, PortsOfAClientAscendAsItsOwn) {
  constexpr int kFlows = 200;
  path_.settings().masquerade_port_max = 65535;
  publish({kBackends[0]});
  std::vector<int> sources;
  for (int number = 0; number < kFlows; ++number) {
    const auto source = dial(fmt::format("198.51.100.7:{}", 40000 + 2 * number)).view().source;
    sources.push_back(std::stoi(source.substr(source.rfind(':') + 1)));
  }
  int ascending = 0;
  for (int i = 1; i < kFlows; ++i) ascending += sources[i] == sources[i - 1] + 2 ? 1 : 0;
  EXPECT_GE(ascending, kFlows - 3) << "but where they have gone around";
}

}  // namespace
}  // namespace topolb::test
