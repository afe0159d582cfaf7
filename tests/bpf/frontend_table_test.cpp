// SPDX-License-Identifier: Apache-2.0
// The frontends table: whatever is put, given up and taken back, in a table where all rows
// collide, each frontend is found by the agent and by the kernel's programs.
#include "dataplane/frontend_table.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <random>

#include "dataplane/kernel_state.h"
#include "support/datapath_fixture.h"

namespace topolb::test {
namespace {

using dataplane::FrontendTable;
using dataplane::key_of;

constexpr std::uint32_t kFrontends = 24;

class Frontends : public DatapathTest {
 protected:
  void open() {
    auto options = sandbox_.options();
    options.limits.frontends = 1;  // one line to begin in: all of them collide
    start({}, options);
  }

  static topolb_frontend_row row(std::uint16_t port, std::uint32_t set) {
    const auto address = dataplane::to_wire(socket_address("10.96.0.1:1").address);
    return {.address = address,
            .port_be = htons(port),
            .protocol = IPPROTO_UDP,
            .kind = TOPOLB_FRONTEND_CLUSTER_IP,
            .service_id = 1,
            .inside_set = set,
            .outside_set = set};
  }

  // What the hooks find: the set rejects.
  static bool is_refused(std::uint16_t port) {
    return dial_connected_udp(fmt::format("10.96.0.1:{}", port)).error == ECONNREFUSED;
  }
};

TEST_F(Frontends, AreFoundInAFullTableAndGoneWhenGivenUp) {
  open();
  constexpr std::uint32_t kSet = 7;
  maps().sets[kSet].verdict = TOPOLB_VERDICT_REJECT;
  FrontendTable table(maps().frontends, maps().settings[0]);
  std::map<std::uint16_t, bool> wanted;  // port -> is in the table
  std::mt19937 random(3);
  for (int step = 0; step < 4000; ++step) {
    const auto port = static_cast<std::uint16_t>(1 + random() % 40);
    if (wanted[port]) {
      auto* found = table.find(key_of(row(port, kSet)));
      ASSERT_NE(found, nullptr) << port;
      table.retire(*found);
      wanted[port] = false;
    } else if (table.in_use() < kFrontends) {
      ASSERT_TRUE(table.put(row(port, kSet))) << port << " has no room among " << table.in_use();
      wanted[port] = true;
    }
    if (random() % 5 == 0) table.reclaim();
    if (step % 200 != 0) continue;
    for (const auto& [each, is_there] : wanted) {
      ASSERT_EQ(table.find(key_of(row(each, kSet))) != nullptr, is_there) << each;
      ASSERT_EQ(is_refused(each), is_there) << each;
    }
    FrontendTable next(maps().frontends, maps().settings[0]);  // of the next agent
    next.restore();
    ASSERT_EQ(next.in_use(), table.in_use());
  }
}

TEST_F(Frontends, AnEmptiedTableIsAsNew) {
  open();
  FrontendTable table(maps().frontends, maps().settings[0]);
  for (std::uint16_t port = 1; port <= kFrontends; ++port) ASSERT_TRUE(table.put(row(port, 7)));
  for (std::uint16_t port = 1; port <= kFrontends; ++port) {
    table.retire(*table.find(key_of(row(port, 7))));
  }
  EXPECT_TRUE(table.has_retired());
  table.reclaim();
  EXPECT_EQ(table.in_use(), 0U);
  for (const auto& line : maps().frontends.rows()) {
    for (const auto& each : line.rows) ASSERT_EQ(each.protocol, 0) << "a search would go on";
  }
}

TEST_F(Frontends, ARowTakenBackStaysAtReclaim) {
  open();
  FrontendTable table(maps().frontends, maps().settings[0]);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(table.put(row(80, 7)));
    table.retire(*table.find(key_of(row(80, 7))));
  }
  ASSERT_TRUE(table.put(row(80, 8)));
  table.reclaim();
  ASSERT_NE(table.find(key_of(row(80, 8))), nullptr);
  EXPECT_EQ(table.find(key_of(row(80, 8)))->inside_set, 8U);
  EXPECT_EQ(table.in_use(), 1U);
}

// A port that gets a longer name may need more rows in service_names, and so another id.
TEST_F(Frontends, AServiceThatIsNamedAnewKeepsServing) {
  const auto server = serve("10.1.0.1:80");
  auto web = service(std::string(60, 'w'), "10.96.0.1:80", Protocol::TCP,
                     traffic({{"", {"10.1.0.1:80"}}}));
  web.port_name = "a";
  start({web});
  web.port_name = std::string(60, 'p');
  change_to({web});
  EXPECT_EQ(dial_tcp("10.96.0.1:80").backend, "10.1.0.1:80");
  publisher_->reclaim();
  const auto state = dataplane::read_kernel_state(maps());
  ASSERT_EQ(state.services.size(), 1U);
  EXPECT_EQ(state.services[0].key, web.key);
  EXPECT_EQ(state.services[0].port_name, web.port_name);
  EXPECT_TRUE(state.orphan_frontends.empty());
}

}  // namespace
}  // namespace topolb::test
