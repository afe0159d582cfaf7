// SPDX-License-Identifier: Apache-2.0
// What the hooks remember of connected sockets: one row each while it is open, whatever else
// happens, and the frontend shown also where the table had no room.
// Source: docs/decisions/0031-peers-in-a-table-of-our-own.md
#include <arpa/inet.h>
#include <fmt/format.h>

#include <atomic>
#include <thread>

#include "dataplane/kernel_state.h"
#include "dataplane/peer_table.h"
#include "support/datapath_fixture.h"

namespace topolb::test {
namespace {

using dataplane::live_peers;

constexpr const char* kFrontend = "10.96.0.1:80";
constexpr const char* kBackend = "10.1.0.1:8080";

class Peers : public DatapathTest {
 protected:
  Peers() : tcp_(serve(kBackend)), udp_(serve(kBackend, Protocol::UDP)) {}

  static std::vector<core::ServicePortPlan> web() {
    return {service("web", kFrontend, Protocol::TCP, traffic({{"", {kBackend}}})),
            service("web", kFrontend, Protocol::UDP, traffic({{"", {kBackend}}}))};
  }

  /// All sockets share one line.
  void start_with_one_line() {
    auto options = sandbox_.options();
    options.limits.sockets = TOPOLB_PEERS_PER_LINE;
    start(web(), options);
  }

  static std::vector<Connection> dial(std::size_t count, Protocol protocol = Protocol::TCP) {
    std::vector<Connection> connections;
    for (std::size_t i = 0; i < count; ++i) connections.emplace_back(kFrontend, protocol);
    return connections;
  }

  std::size_t rows() { return live_peers(maps().peers).size(); }

 private:
  std::unique_ptr<Server> tcp_;
  std::unique_ptr<Server> udp_;
};

TEST_F(Peers, EachConnectedSocketHasARowUntilItIsClosed) {
  start(web());
  for (const auto protocol : {Protocol::TCP, Protocol::UDP}) {
    {
      const auto connections = dial(20, protocol);
      const auto peers = live_peers(maps().peers);
      ASSERT_EQ(peers.size(), connections.size());
      for (const auto& peer : peers) {
        EXPECT_EQ(dataplane::from_wire(peer.frontend_address).to_string(), "10.96.0.1");
        EXPECT_EQ(ntohs(peer.frontend_port_be), 80);
        EXPECT_EQ(dataplane::from_wire(peer.backend_address).to_string(), "10.1.0.1");
        EXPECT_EQ(ntohs(peer.backend_port_be), 8080);
      }
    }
    EXPECT_EQ(rows(), 0U);
  }
}

TEST_F(Peers, AnUnconnectedUdpSocketHasOneForTheFirstFrontend) {
  constexpr const char* kOther = "10.96.0.2:80";
  const auto server = serve("10.1.0.2:8080", Protocol::UDP);
  auto plan = web();
  plan.push_back(service("zoo", kOther, Protocol::UDP, traffic({{"", {"10.1.0.2:8080"}}})));
  start(plan);
  {
    UdpClient client(Family::IPv4);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(client.ask(kFrontend).peer, kFrontend);
      EXPECT_EQ(rows(), 1U);
      EXPECT_EQ(client.ask(kOther).peer, kOther);
      EXPECT_EQ(rows(), 1U);
    }
  }
  EXPECT_EQ(rows(), 0U);
}

// The row of a connected socket is what getpeername() shows, whatever else it sends.
TEST_F(Peers, SendingElsewhereLeavesAConnectedSocketsRowAlone) {
  const auto server = serve("10.1.0.2:8080", Protocol::UDP);
  auto plan = web();
  plan.push_back(service("zoo", "10.96.0.2:80", Protocol::UDP, traffic({{"", {"10.1.0.2:8080"}}})));
  start(plan);
  Connection socket(kFrontend, Protocol::UDP);
  EXPECT_EQ(socket.send_to("10.96.0.2:80"), 0);
  EXPECT_EQ(socket.peer(), kFrontend);
  EXPECT_EQ(socket.send_to(kFrontend), 0);
  EXPECT_EQ(socket.peer(), kFrontend);
  EXPECT_EQ(rows(), 1U);
}

TEST_F(Peers, ARowGoesWithTheLastDescriptor) {
  start(web());
  auto connections = dial(1);
  connections.push_back(connections.front().duplicate());
  connections.erase(connections.begin());
  EXPECT_EQ(rows(), 1U);
  EXPECT_EQ(connections.front().peer(), kFrontend);
  connections.clear();
  EXPECT_EQ(rows(), 0U);
}

TEST_F(Peers, ASocketThatIsConnectedAgainHasOneRow) {
  start(web());
  Connection socket(kFrontend, Protocol::UDP);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(socket.connect(kFrontend), kFrontend);
    EXPECT_EQ(rows(), 1U);
  }
  EXPECT_EQ(socket.connect(kBackend), kBackend) << "it dialled the backend itself";
  EXPECT_EQ(rows(), 0U);
  EXPECT_EQ(socket.connect(kFrontend), kFrontend);
}

TEST_F(Peers, SocketsBeyondTheTableShowTheirFrontendToo) {
  start_with_one_line();
  for (const auto protocol : {Protocol::TCP, Protocol::UDP}) {
    auto connections = dial(3 * TOPOLB_PEERS_PER_LINE, protocol);
    EXPECT_EQ(rows(), TOPOLB_PEERS_PER_LINE);
    for (const auto& connection : connections) EXPECT_EQ(connection.peer(), kFrontend);
    // Room again: who has none stays as it is, a new socket takes it.
    connections.erase(connections.begin());
    EXPECT_EQ(rows(), TOPOLB_PEERS_PER_LINE - 1);
    const Connection another(kFrontend, protocol);
    EXPECT_EQ(rows(), TOPOLB_PEERS_PER_LINE);
    EXPECT_EQ(another.peer(), kFrontend);
    EXPECT_EQ(connections.back().peer(), kFrontend);
    connections.clear();
  }
  EXPECT_EQ(rows(), 0U);
}

TEST_F(Peers, ASocketBeyondTheTableMayDialItsBackendItself) {
  start_with_one_line();
  const auto connections = dial(TOPOLB_PEERS_PER_LINE, Protocol::UDP);
  Connection beyond(kFrontend, Protocol::UDP);
  EXPECT_EQ(beyond.peer(), kFrontend);
  EXPECT_EQ(beyond.connect(kBackend), kBackend);
  EXPECT_EQ(beyond.connect(kFrontend), kFrontend);
}

// Other sizes and another layout of all else: the agent makes new maps, and takes the peers along.
TEST_F(Peers, OpenSocketsAreKnownToEveryAgentAfter) {
  start_with_one_line();
  auto connections = dial(2 * TOPOLB_PEERS_PER_LINE);
  const auto all_show_the_frontend = [&] {
    for (const auto& connection : connections) EXPECT_EQ(connection.peer(), kFrontend);
  };
  stop();
  all_show_the_frontend();
  start(web());  // its size is kept
  EXPECT_TRUE(datapath_->took_over());
  all_show_the_frontend();
  stop();
  auto options = sandbox_.options();
  options.limits.backends = 1000;
  start(web(), options);
  EXPECT_FALSE(datapath_->took_over());
  all_show_the_frontend();
  maps().settings[0].layout_version = TOPOLB_LAYOUT_VERSION + 1;
  stop();
  connections.erase(connections.begin() + 3, connections.end());  // while there is no agent
  start(web());
  EXPECT_FALSE(datapath_->took_over());
  all_show_the_frontend();
  EXPECT_EQ(rows(), 3U);
  connections.clear();
  EXPECT_EQ(rows(), 0U);
}

TEST_F(Peers, NoRowIsLostByThreadsThatShareALine) {
  start_with_one_line();
  constexpr int kThreads = 8;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 300; ++round) {
        const Connection first(kFrontend, Protocol::UDP);
        const Connection second(kFrontend, Protocol::UDP);
        if (first.peer() != kFrontend || second.peer() != kFrontend) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(rows(), 0U);
}

// connect() of UDP takes no lock: two at a time may both find that the socket has no row yet.
TEST_F(Peers, NoRowIsLostByThreadsThatShareASocket) {
  start(web());
  for (int round = 0; round < 200; ++round) {
    Connection socket(kFrontend, Protocol::UDP);
    EXPECT_EQ(socket.connect(kBackend), kBackend);
    std::thread other([&] { socket.connect(kFrontend); });
    socket.connect(kFrontend);
    other.join();
    EXPECT_EQ(socket.peer(), kFrontend);
  }
  EXPECT_EQ(rows(), 0U);
}

}  // namespace
}  // namespace topolb::test
