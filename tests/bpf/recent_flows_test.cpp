// SPDX-License-Identifier: Apache-2.0
// The cache of the flow index (maps/flow_table.h, recent_flows): that it is used, and that what it
// says of a row is believed only while it is so.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <array>
#include <stdexcept>
#include <string>

#include "support/packet_path.h"
#include "support/sockets.h"

namespace topolb::test {
namespace {

constexpr const char* kNear = "10.96.0.2:80";
constexpr const char* kNearBackend = "10.2.0.2:8080";
constexpr const char* kFar = "10.96.0.3:53";
constexpr const char* kFarBackend = "10.1.0.5:53";
constexpr const char* kNear6 = "[fd00:96::2]:80";
constexpr const char* kNearBackend6 = "[fd00:2::2]:8080";

/// This thread stays on the CPU that it is on: the cache is each CPU's own.
class OneCpu {
 public:
  OneCpu() {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(::sched_getcpu(), &one);
    ::sched_getaffinity(0, sizeof(before_), &before_);
    if (::sched_setaffinity(0, sizeof(one), &one) != 0) throw std::runtime_error("stay on a CPU");
  }
  ~OneCpu() { ::sched_setaffinity(0, sizeof(before_), &before_); }
  OneCpu(const OneCpu&) = delete;
  OneCpu& operator=(const OneCpu&) = delete;

 private:
  cpu_set_t before_{};
};

class RecentFlows : public ::testing::Test {
 protected:
  RecentFlows() {
    path_.publish({service("far", kFar, Protocol::UDP, traffic({{"", {kFarBackend}}})),
                   service("near", kNear, Protocol::TCP, traffic({{"", {kNearBackend}}})),
                   service("near6", kNear6, Protocol::TCP, traffic({{"", {kNearBackend6}}}))},
                  {kNearBackend, kNearBackend6});
  }

  PacketView run(Hook hook, const std::string& source, const std::string& destination,
                 std::uint8_t flags) {
    PacketSpec spec;
    spec.source = source;
    spec.destination = destination;
    spec.tcp_flags = flags;
    return path_.run(hook, build(spec)).view();
  }

  /// To the remote Service.
  PacketView datagram(const std::string& source, const std::string& destination) {
    PacketSpec spec;
    spec.source = source;
    spec.destination = destination;
    spec.protocol = Protocol::UDP;
    return path_.run(Hook::Ingress, build(spec)).view();
  }

  void open(const std::string& client, const std::string& frontend = kNear,
            const std::string& backend = kNearBackend) {
    run(Hook::Ingress, client, frontend, kSyn);
    run(Hook::Egress, backend, client, kSyn | kAck);
    expect_translated(client, frontend, backend);
  }

  /// Both ways; the cache has both keys afterwards.
  void expect_translated(const std::string& client, const std::string& frontend = kNear,
                         const std::string& backend = kNearBackend) {
    EXPECT_EQ(run(Hook::Ingress, client, frontend, kAck).destination, backend) << client;
    EXPECT_EQ(run(Hook::Egress, backend, client, kAck).source, frontend) << client;
  }

  std::uint32_t id_of(const std::string& client) {
    std::uint32_t found = 0;
    path_.flows().for_each([&](std::uint32_t id, const topolb_flow& flow) {
      if (flow.client_port_be == htons(socket_address(client).port)) found = id;
    });
    return found;
  }

  void remove(const std::string& client) {
    const auto wanted = id_of(client);
    path_.flows().for_each([&](std::uint32_t id, const topolb_flow& flow) {
      if (id == wanted) path_.flows().remove(id, flow);
    });
  }

  void clear_index() {
    for (std::uint32_t line = 0; line < path_.flows().facts().lines; ++line) {
      path_.flows().line(line) = {};
    }
  }

  OneCpu cpu_;
  PacketPath path_;
};

TEST_F(RecentFlows, ThoseMetLatelyNeedNoIndex) {
  open("198.51.100.7:1001");
  clear_index();
  expect_translated("198.51.100.7:1001");
}

TEST_F(RecentFlows, TheFirstOfAConnectionGoesByTheIndex) {
  open("198.51.100.7:1001");
  clear_index();
  run(Hook::Ingress, "198.51.100.7:1001", kNear, kSyn);
  EXPECT_EQ(path_.flows().count(), 2U) << "the index knew of none";
}

// The row that it was in is free, and still has the key.
TEST_F(RecentFlows, FlowThatBeginsAgainIsFoundInItsNewRow) {
  for (const auto* client : {"198.51.100.7:1001", "198.51.100.7:1002"}) open(client);
  const auto before = id_of("198.51.100.7:1002");
  remove("198.51.100.7:1002");
  remove("198.51.100.7:1001");
  open("198.51.100.7:1002");
  ASSERT_NE(id_of("198.51.100.7:1002"), before) << "rows are taken in another order now";
  EXPECT_EQ(path_.flows().count(), 1U);
}

// The row is another flow's by now.
TEST_F(RecentFlows, FlowWhoseRowWasGivenAwayIsGone) {
  open("198.51.100.7:1001");
  const auto row = id_of("198.51.100.7:1001");
  remove("198.51.100.7:1001");
  open("198.51.100.7:1002");
  ASSERT_EQ(id_of("198.51.100.7:1002"), row);
  EXPECT_EQ(run(Hook::Egress, kNearBackend, "198.51.100.7:1001", kAck).source, kNearBackend);
  run(Hook::Ingress, "198.51.100.7:1001", kNear, kAck);
  EXPECT_EQ(path_.event(TOPOLB_EVENT_UNKNOWN_FLOW), 1U);
}

// The row is a flow of the same client and backend by now, but of one whose node answers itself.
TEST(RecentFlowsOfDirectReturn, FlowThatBecameDirectHasNoReplies) {
  const OneCpu cpu;
  PacketPath path(1024, plenty(), true);
  const auto plan = service("near", kNear, Protocol::TCP, traffic({{"", {kNearBackend}}}));
  const auto run = [&](Hook hook, const char* source, const char* destination, std::uint8_t flags) {
    PacketSpec spec;
    spec.source = source;
    spec.destination = destination;
    spec.tcp_flags = flags;
    return path.run(hook, build(spec));
  };
  constexpr const char* kClient = "198.51.100.7:1001";
  path.publish({plan}, {kNearBackend});
  run(Hook::Ingress, kClient, kNear, kSyn);
  ASSERT_EQ(run(Hook::Egress, kNearBackend, kClient, kSyn | kAck).view().source, kNear);
  path.flows().for_each(
      [&](std::uint32_t id, const topolb_flow& flow) { path.flows().remove(id, flow); });
  path.publish({plan}, {});
  run(Hook::Ingress, kClient, kNear, kSyn);
  std::uint32_t direct = 0;
  path.flows().for_each([&](std::uint32_t, const topolb_flow& flow) {
    direct += (flow.state & TOPOLB_FLOW_DIRECT) != 0;
  });
  ASSERT_EQ(direct, 1U);
  const auto reply = run(Hook::Egress, kNearBackend, kClient, kSyn | kAck);
  EXPECT_EQ(reply.view().source, kNearBackend) << "left alone";
}

TEST_F(RecentFlows, DatagramsOfRemoteBackendsNeedNoIndexEither) {
  const auto there = datagram("198.51.100.7:1001", kFar);
  ASSERT_EQ(there.destination, kFarBackend);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(datagram(kFarBackend, there.source).destination, "198.51.100.7:1001");
    EXPECT_EQ(datagram("198.51.100.7:1001", kFar).source, there.source);
    clear_index();
  }
  EXPECT_EQ(path_.flows().count(), 1U);
}

// The next datagram opens another, which the cache then has.
TEST_F(RecentFlows, FlowThatIsOverIsNotMetAgain) {
  for (int i = 0; i < 3; ++i) {
    const auto there = datagram("198.51.100.7:1001", kFar);
    EXPECT_EQ(datagram(kFarBackend, there.source).destination, "198.51.100.7:1001");
    EXPECT_EQ(datagram("198.51.100.7:1001", kFar).source, there.source);
    EXPECT_EQ(path_.flows().count(), 1U);
    EXPECT_EQ(path_.event(TOPOLB_EVENT_FLOW_OPENED), static_cast<std::uint64_t>(i + 1));
    path_.age_flows(2 * TOPOLB_FLOW_UDP_REPLIED_S);
  }
}

// Of IPv6's addresses the hash has the last four bytes.
TEST_F(RecentFlows, KeysOfOneHashAreToldApart) {
  const std::array<std::string, 2> clients{"[2001:db8:5::7]:1001", "[2001:db8:6::7]:1001"};
  for (const auto& client : clients) open(client, kNear6, kNearBackend6);
  for (int i = 0; i < 3; ++i) {
    for (const auto& client : clients) expect_translated(client, kNear6, kNearBackend6);
  }
  EXPECT_EQ(path_.flows().count(), 2U);
}

}  // namespace
}  // namespace topolb::test
