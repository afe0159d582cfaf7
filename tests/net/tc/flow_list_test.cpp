// SPDX-License-Identifier: Apache-2.0
// `topolb flow list` and `topolb status` on the flow table of a real agent, up and down, and with
// tens of thousands of flows. Sources: issue of the per-packet path; docs/cli.md.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <set>

#include "dataplane/flow_table.h"
#include "dataplane/kernel_maps.h"
#include "dataplane/kernel_state.h"
#include "net/json_text.h"
#include "net/tc/agent_cluster.h"

namespace topolb::test {
namespace {

constexpr const char* kNodePort = "192.0.2.10:30080";
constexpr const char* kPod = "10.1.2.2:8080";

class FlowList : public ::testing::Test {
 protected:
  FlowList() {
    cluster_.write("web.yaml", dual_stack_text({.name = "web",
                                                .cluster_ips = "10.96.0.1, \"fd00:96::1\"",
                                                .spec = "type: NodePort",
                                                .node_port = 30080},
                                               {{.pod = 2}}));
    cluster_.start_agent(1);
  }

  [[nodiscard]] JsonText read(const Words& words) const {
    auto with_json = words;
    with_json.insert(with_json.end(), {"-o", "json"});
    return JsonText(cluster_.topolb(1, with_json).out);
  }

  /// Flows that there is room for; 0 while the table is being replaced.
  [[nodiscard]] std::uint32_t room() const {
    const topolb_settings settings{};
    const auto table = dataplane::FlowTable::open_pinned(cluster_.pin_path(1),
                                                         dataplane::Access::ReadOnly, settings);
    return table ? table->capacity() : 0;
  }

  AgentCluster cluster_;
};

TEST_F(FlowList, ShowsFlowsWithTheAgentUpAndDown) {
  EXPECT_EQ(cluster_.topolb(1, {"flow", "list"}).out, "No flows.\n");
  cluster_.serve("pod2", kPod, Protocol::UDP);
  std::unique_ptr<UdpClient> client;
  cluster_.topology().inside("client", [&] { client = std::make_unique<UdpClient>(Family::IPv4); });
  ASSERT_EQ(client->ask(kNodePort).backend, kPod);
  const auto expect_it = [&] {
    const auto list = read({"flow", "list"});
    ASSERT_EQ(list.size("/flows"), 1U);
    EXPECT_EQ(list.text("/flows/0/service/name"), "web");
    EXPECT_EQ(list.text("/flows/0/protocol"), "UDP");
    EXPECT_EQ(list.text("/flows/0/frontend"), kNodePort);
    EXPECT_EQ(list.text("/flows/0/backend"), kPod);
    EXPECT_EQ(list.text("/flows/0/client").find("198.51.100.7:"), 0U);
    EXPECT_EQ(list.text("/flows/0/source").find("192.0.2.10:"), 0U);
    EXPECT_TRUE(list.flag("/flows/0/masqueraded"));
    EXPECT_EQ(list.text("/flows/0/state"), "replied");
    const auto table = cluster_.topolb(1, {"flow", "list"}).out;
    EXPECT_NE(table.find("default/web 80/UDP at 192.0.2.10:30080\n"), std::string::npos) << table;
    const auto status = read({"status"});
    EXPECT_EQ(status.number("/flows/entries"), 1);
    EXPECT_EQ(status.number("/flows/max_entries"), TOPOLB_FIRST_FLOWS);
    EXPECT_EQ(status.number("/flows/opened"), 1);
    EXPECT_EQ(status.number("/flows/refused"), 0);
  };
  expect_it();
  cluster_.stop_agent(1, SIGKILL);
  expect_it();
}

// Connections go on when the agent comes back with another size of table; what is carried over is
// counted as it was.
TEST_F(FlowList, IsCarriedOverToATableOfAnotherSize) {
  cluster_.serve("pod2", kPod, Protocol::UDP);
  constexpr int kClients = 50;
  std::vector<std::unique_ptr<UdpClient>> clients;
  cluster_.topology().inside("client", [&] {
    for (int i = 0; i < kClients; ++i) clients.push_back(std::make_unique<UdpClient>(Family::IPv4));
  });
  for (auto& client : clients) ASSERT_EQ(client->ask(kNodePort).backend, kPod);
  const auto sources = [&] {
    const auto list = read({"flow", "list"}).texts("/flows", "source");
    return std::set<std::string>(list.begin(), list.end());
  };
  const auto before = sources();
  ASSERT_EQ(before.size(), kClients);
  for (const char* size : {"128", "100000", "65536"}) {
    cluster_.stop_agent(1, SIGTERM);
    cluster_.start_agent(1, {"--max-flows", size});
    for (auto& client : clients) ASSERT_EQ(client->ask(kNodePort).backend, kPod) << size;
    EXPECT_EQ(sources(), before) << size << ": the backend sees the same clients";
    EXPECT_EQ(read({"status"}).number("/flows/entries"), kClients) << size;
  }
}

// Backends have other ids there.
TEST_F(FlowList, IsCarriedOverToMapsMadeAnew) {
  cluster_.serve("pod2", kPod, Protocol::UDP);
  cluster_.write("another.yaml", dual_stack_text({.name = "another",
                                                  .cluster_ips = "10.96.0.2, \"fd00:96::2\"",
                                                  .spec = "type: NodePort",
                                                  .node_port = 30081},
                                                 {{.pod = 1}}));
  ASSERT_TRUE(wait_until([&] { return read({"service", "list"}).size("/services") == 8; }));
  std::unique_ptr<UdpClient> client;
  cluster_.topology().inside("client", [&] { client = std::make_unique<UdpClient>(Family::IPv4); });
  ASSERT_EQ(client->ask(kNodePort).backend, kPod);
  const auto source = read({"flow", "list"}).text("/flows/0/source");
  for (const char* most : {"100", "90"}) {
    cluster_.stop_agent(1, SIGTERM);
    cluster_.start_agent(1, {"--max-backends", most});
    ASSERT_TRUE(cluster_.agent(1).lines("took over").empty());
    ASSERT_EQ(client->ask(kNodePort).backend, kPod);
    const auto list = read({"flow", "list"});
    ASSERT_EQ(list.size("/flows"), 1U);
    EXPECT_EQ(list.text("/flows/0/source"), source) << "the same flow";
  }
}

// Connections are made without end while the table is replaced, and what is there stays.
TEST_F(FlowList, GrowsUnderItsClients) {
  cluster_.serve("pod2", kPod, Protocol::UDP);
  cluster_.serve("pod2", kPod, Protocol::TCP);
  constexpr std::size_t kClients = TOPOLB_FIRST_FLOWS / 4 + 1;  // so many, and it grows
  std::vector<std::unique_ptr<UdpClient>> clients;
  cluster_.topology().inside("client", [&] {
    for (std::size_t i = 0; i < kClients; ++i) {
      clients.push_back(std::make_unique<UdpClient>(Family::IPv4));
    }
  });
  for (auto& client : clients) ASSERT_EQ(client->ask(kNodePort).backend, kPod);
  const auto udp_sources = [&] {
    std::set<std::string> sources;
    const auto list = read({"flow", "list"});
    const auto all = list.texts("/flows", "source");
    const auto protocols = list.texts("/flows", "protocol");
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (protocols[i] == "UDP") sources.insert(all[i]);
    }
    return sources;
  };
  const auto before = udp_sources();
  ASSERT_EQ(before.size(), kClients);
  for (int dialled = 0; room() <= TOPOLB_FIRST_FLOWS; ++dialled) {
    ASSERT_EQ(cluster_.dial("client", kNodePort, Protocol::TCP).backend, kPod) << dialled;
    ASSERT_LT(dialled, 20'000) << "does not grow";
  }
  for (auto& client : clients) ASSERT_EQ(client->ask(kNodePort).backend, kPod);
  EXPECT_EQ(udp_sources(), before) << "the backend sees the same clients";
  EXPECT_EQ(read({"status"}).number("/flows/refused"), 0);
}

topolb_flow established_flow() {
  topolb_flow flow{};
  flow.client = dataplane::to_wire(*IpAddress::parse("198.51.100.7"));
  flow.frontend = dataplane::to_wire(*IpAddress::parse("192.0.2.10"));
  flow.backend = dataplane::to_wire(*IpAddress::parse("10.1.2.2"));
  flow.protocol = 6;
  flow.state = TOPOLB_FLOW_REPLIED;
  flow.touched = flow.created = dataplane::flow_time_now();
  return flow;
}

// With fewer than it has room for, but more than a table begins with.
TEST_F(FlowList, IsCarriedOverWholeWhereALowerLimitSuffices) {
  const topolb_settings settings{};
  auto flow = established_flow();
  std::uint32_t flows = 0;
  for (const std::uint32_t end : {1000U, 3000U}) {
    const auto before = room();
    auto table = dataplane::FlowTable::open_pinned(cluster_.pin_path(1),
                                                   dataplane::Access::ReadWrite, settings);
    ASSERT_TRUE(table) << table.error().message();
    for (; flows < end; ++flows) {
      flow.client_port_be = flow.source_port_be = static_cast<std::uint16_t>(flows);
      ASSERT_TRUE(table->insert(flow)) << flows;
    }
    ASSERT_TRUE(wait_until([&] { return room() > before; })) << before;
  }
  cluster_.stop_agent(1, SIGTERM);
  cluster_.start_agent(1, {"--max-flows", "10000"});
  EXPECT_LT(room(), 10'000U + TOPOLB_FLOW_ROWS_PER_LINE);
  EXPECT_EQ(read({"flow", "list"}).size("/flows"), flows);
}

// Something has taken a pin away: the table is whole, or new.
TEST_F(FlowList, OfATableThatIsNotWhole) {
  const topolb_settings settings{};
  auto table = dataplane::FlowTable::open_pinned(cluster_.pin_path(1), dataplane::Access::ReadWrite,
                                                 settings);
  ASSERT_TRUE(table && table->insert(established_flow()));
  cluster_.stop_agent(1, SIGTERM);
  ASSERT_EQ(::unlink(dataplane::pin_of_map(cluster_.pin_path(1), "flow_index").c_str()), 0);
  cluster_.start_agent(1);
  EXPECT_EQ(read({"flow", "list"}).size("/flows"), 0U);
  EXPECT_GE(room(), std::uint32_t{TOPOLB_FIRST_FLOWS});
}

TEST_F(FlowList, OfAFullTable) {
  auto maps =
      dataplane::KernelMaps::open_pinned(cluster_.pin_path(1), dataplane::Access::ReadWrite);
  ASSERT_TRUE(maps) << maps.error().message();
  auto flow = established_flow();
  std::uint32_t flows = 0;
  std::uint32_t port = 0;
  for (bool is_full = false; !is_full;) {
    const auto before = room();
    is_full = before == TOPOLB_MAX_FLOWS;
    auto table = dataplane::FlowTable::open_pinned(cluster_.pin_path(1),
                                                   dataplane::Access::ReadWrite, maps->settings[0]);
    ASSERT_TRUE(table) << table.error().message();
    EXPECT_EQ(table->count(), flows) << "as many as before it grew";
    for (const auto end = is_full ? 0x10000 : before / 2; port < end; ++port) {
      flow.client_port_be = flow.source_port_be = static_cast<std::uint16_t>(port);
      flows += table->insert(flow) ? 1 : 0;
    }
    ASSERT_TRUE(is_full || wait_until([&] { return room() > before; })) << before;
  }
  EXPECT_GT(flows, 65530U);
  EXPECT_EQ(read({"flow", "list"}).size("/flows"), flows);
  EXPECT_EQ(read({"status"}).number("/flows/entries"), flows);
}

}  // namespace
}  // namespace topolb::test
