// SPDX-License-Identifier: Apache-2.0
// The flow table without packets: its room, flows carried over to another one, the collector.
// Sources: issue of the per-packet path, Must show 4; maps/flow_table.h; docs/limits.md.
#include "dataplane/flow_table.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <set>
#include <stdexcept>

#include "dataplane/flow_collector.h"
#include "dataplane/flow_move.h"
#include "dataplane/kernel_state.h"
#include "dataplane/masquerades.h"

namespace topolb::test {
namespace {

using dataplane::FlowCollector;
using dataplane::FlowTable;

/// A table in maps of its own.
class OwnTable {
 public:
  OwnTable(std::uint32_t room, std::uint64_t seed) : facts_(dataplane::flow_facts_for(room, seed)) {
    masquerade_with("192.0.2.10", "2001:db8::10");
    auto table = FlowTable::open([&](const std::string& name) { return make_map(name); },
                                 dataplane::Access::ReadWrite, *settings_);
    if (!table) throw std::runtime_error(table.error().message());
    table_.emplace(std::move(*table));
  }
  /// Flows have these addresses from now on.
  void masquerade_with(const char* ipv4, const char* ipv6) {
    const auto chosen =
        dataplane::choose_masquerades(*settings_, {IpAddress::parse(ipv4), IpAddress::parse(ipv6)});
    if (!chosen) throw std::runtime_error(chosen.error().message());
  }
  topolb_settings& settings() { return *settings_; }
  FlowTable* operator->() { return &*table_; }
  FlowTable& operator*() { return *table_; }

 private:
  [[nodiscard]] Result<UniqueFd> make_map(const std::string& name) const {
    struct {
      std::size_t row;
      std::uint32_t rows;
    } size{sizeof(topolb_flow), facts_.row_lines * TOPOLB_FLOW_ROWS_PER_LINE};
    if (name == "flow_facts") size = {sizeof(topolb_flow_facts), 1};
    if (name == "flow_index") size = {sizeof(topolb_flow_line), facts_.lines};
    if (name == "flow_rows") size = {sizeof(topolb_flow_rows), facts_.row_lines};
    bpf_map_create_opts options{};
    options.sz = sizeof(options);
    options.map_flags = BPF_F_MMAPABLE;
    UniqueFd fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, name.c_str(), sizeof(std::uint32_t),
                               static_cast<std::uint32_t>(size.row), size.rows, &options));
    if (!fd) return errno_error(errno, "create map " + name);
    const std::uint32_t first = 0;
    if (name == "flow_facts") bpf_map_update_elem(fd.get(), &first, &facts_, BPF_ANY);
    return fd;
  }

  topolb_flow_facts facts_;
  std::unique_ptr<topolb_settings> settings_ = std::make_unique<topolb_settings>();
  std::optional<FlowTable> table_;
};

/// Flow `number` of many: no two have a key in common.
topolb_flow flow_of(std::uint32_t number) {
  const bool ipv6 = number % 3 == 0;
  topolb_flow flow{};
  flow.client = dataplane::to_wire(*IpAddress::parse(ipv6 ? "2001:db8:5::7" : "198.51.100.7"));
  flow.client.bytes[14] = static_cast<std::uint8_t>(number >> 24);
  flow.client.bytes[15] = static_cast<std::uint8_t>(number >> 16);
  flow.client_port_be = static_cast<std::uint16_t>(number);
  flow.source_port_be = flow.client_port_be;
  flow.frontend = dataplane::to_wire(*IpAddress::parse(ipv6 ? "2001:db8::10" : "192.0.2.10"));
  flow.frontend_port_be = 80;
  flow.backend = dataplane::to_wire(*IpAddress::parse(ipv6 ? "fd00:1::5" : "10.1.0.5"));
  flow.backend.bytes[15] = static_cast<std::uint8_t>(number >> 16);
  flow.backend_port_be = 8080;
  flow.protocol = number % 2 == 0 ? 6 : 17;
  flow.state = TOPOLB_FLOW_REPLIED;
  if (number % 5 != 0) {
    flow.state |= TOPOLB_FLOW_MASQUERADED;
    flow.masquerade = ipv6 ? 2 : 1;  // as OwnTable has them at first
  }
  flow.touched = flow.created = dataplane::flow_time_now();
  return flow;
}

/// The same, masqueraded as new flows are.
topolb_flow masqueraded(topolb_flow flow, const topolb_settings& settings) {
  const auto family = dataplane::from_wire(flow.client).family();
  flow.state |= TOPOLB_FLOW_MASQUERADED;
  flow.masquerade = settings.node_masquerades[family == Family::IPv4 ? TOPOLB_IPV4 : TOPOLB_IPV6];
  return flow;
}

/// Client, port and backend of each flow.
std::multiset<std::string> contents_of(const FlowTable& table) {
  std::multiset<std::string> contents;
  table.for_each([&](std::uint32_t, const topolb_flow& flow) {
    std::string text(reinterpret_cast<const char*>(&flow), offsetof(topolb_flow, generation));
    contents.insert(std::move(text));
  });
  return contents;
}

class FlowTableRoom : public ::testing::TestWithParam<std::uint32_t> {};

TEST_P(FlowTableRoom, IsThatOfItsSize) {
  for (const std::uint64_t seed : {1, 2, 3, 4, 5}) {
    OwnTable table(GetParam(), seed);
    for (std::uint32_t number = 0; number < GetParam(); ++number) {
      ASSERT_TRUE(table->insert(flow_of(number))) << number << " of seed " << seed;
    }
    EXPECT_EQ(table->count(), GetParam());
    EXPECT_EQ(table->slot_count(), 2 * GetParam());
  }
}

// As those of a client that dials again and again, or of a NAT that deals them out.
TEST_P(FlowTableRoom, IsThereWhenPortsTakeSteps) {
  const auto port_step = dataplane::flow_facts_for(GetParam(), 1).port_step;
  const std::uint32_t around = port_step == 0 ? 0x8000 : 0xffffffffU / port_step + 1;
  for (const std::uint32_t step : {1U, 2U, 3U, 16U, 256U, 4096U, around}) {
    OwnTable table(GetParam(), 1);
    std::uint32_t refused = 0;
    for (std::uint32_t number = 0; number < GetParam(); ++number) {
      const auto client = number * step >> 16;
      auto flow = flow_of(client << 16);
      flow.backend.bytes[14] = static_cast<std::uint8_t>(client >> 8);
      flow.client_port_be = htons(static_cast<std::uint16_t>(number * step));
      flow.source_port_be = flow.client_port_be;
      refused += table->insert(flow) ? 0 : 1;
    }
    // Of steps that lead to the same line again and again a few may find both their lines full.
    EXPECT_LE(refused, step == around ? GetParam() / 4000 : 0) << "by steps of " << step;
  }
}

// Only where an index is so large that it pays.
TEST(FlowPlaces, TakeAStepWithEachPort) {
  const std::map<std::uint32_t, std::uint32_t> steps{{2048, 0},
                                                     {54272, 0},
                                                     {54784, 0x100000000 / 21914 + 1},
                                                     {65536, 0x100000000 / 26215 + 1},
                                                     {66560, TOPOLB_FLOW_LEAST_PORT_STEP},
                                                     {655360, TOPOLB_FLOW_LEAST_PORT_STEP},
                                                     {655872, 0}};
  for (const auto& [flows, step] : steps) {
    EXPECT_EQ(dataplane::flow_facts_for(flows, 1).port_step, step) << flows;
  }
  const auto facts = dataplane::flow_facts_for(TOPOLB_MAX_FLOWS, 1);
  const auto first = dataplane::to_wire(*IpAddress::parse("198.51.100.7"));
  const auto second = dataplane::to_wire(*IpAddress::parse("192.0.2.10"));
  const auto base = topolb_flow_base(&first, &second, 80, 6, facts.seed);
  const auto line = [&](std::uint32_t port) {
    const auto hash = topolb_flow_hash(base, static_cast<std::uint16_t>(port), facts.port_step);
    return topolb_flow_place_of(hash, facts.lines, facts.id_bits).lines[0];
  };
  std::uint32_t lines = 0;
  for (std::uint32_t port = 0; port < 65535; ++port) {
    const auto step = (line(port + 1) + facts.lines - line(port)) % facts.lines;
    EXPECT_LE(step, 1U) << port;
    lines += step;
  }
  EXPECT_EQ(lines / facts.lines, 2U) << "times around the index";
}

TEST(FlowPlaces, OfTwoKeysAreOneLineAtTheRightPort) {
  constexpr std::uint32_t kFirst = 1024;
  // With more lines than ports most have none: then within a step.
  for (const auto& [flows, farthest] : {std::pair{54784, 0}, {TOPOLB_MAX_FLOWS, 0}, {655360, 10}}) {
    const auto facts = dataplane::flow_facts_for(static_cast<std::uint32_t>(flows), 1);
    const auto line = [&](std::uint64_t hash) {
      return static_cast<int>(topolb_flow_place_of(hash, facts.lines, facts.id_bits).lines[0]);
    };
    const int lines = static_cast<int>(facts.lines);
    std::mt19937_64 random(1);
    for (int i = 0; i < 10000; ++i) {
      const auto hash = random();
      const auto base = random();
      const auto port = topolb_flow_port_near(hash, base, kFirst, facts.port_step, facts.lines);
      ASSERT_GE(port, kFirst);
      ASSERT_LE(port, kFirst + 1 + 0xffffffffU / facts.port_step) << "once around the index";
      const auto there =
          line(topolb_flow_hash(base, static_cast<std::uint16_t>(port), facts.port_step));
      const int apart = std::abs(there - line(hash));
      EXPECT_LE(std::min(apart, lines - apart), farthest) << flows;
    }
  }
}

// Else a table would be replaced by one of its own size, again and again.
TEST(FlowTable, OfAnySizeHasTheRoomThatWasAskedFor) {
  for (std::uint32_t flows = 1; flows <= 256; ++flows) {
    EXPECT_GE(OwnTable(flows, 1)->capacity(), flows);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, FlowTableRoom,
                         testing::Values(1, 1024, 10000, 40960, 54784, 65536));

TEST(FlowTable, IsCarriedOverWhole) {
  constexpr std::uint32_t kFlows = 60000;
  OwnTable from(65536, 1);
  for (std::uint32_t number = 0; number < kFlows; ++number) from->insert(flow_of(number));
  ASSERT_EQ(from->count(), kFlows);
  for (const std::uint32_t room : {60000, 65536, 262144}) {
    OwnTable to(room, room);
    // Twice, as the agent does: before and after the programs are switched.
    for (const bool is_first : {true, false}) {
      from->for_each([&](std::uint32_t, const topolb_flow& flow) {
        EXPECT_EQ(to->insert(flow).has_value(), is_first) << "into " << room;
      });
    }
    EXPECT_EQ(contents_of(*to), contents_of(*from)) << "into " << room;
    to->for_each([&](std::uint32_t id, const topolb_flow& flow) { to->remove(id, flow); });
    EXPECT_EQ(to->count(), 0U);
    EXPECT_EQ(to->slot_count(), 0U);
  }
}

std::optional<std::pair<std::uint32_t, topolb_flow>> find(const FlowTable& table,
                                                          std::uint32_t number) {
  std::optional<std::pair<std::uint32_t, topolb_flow>> found;
  table.for_each([&](std::uint32_t id, const topolb_flow& flow) {
    if (flow.client_port_be == number) found = {id, flow};
  });
  return found;
}

// What becomes of flows in either table while the programs are switched.
TEST(FlowMove, NeitherLosesNorBringsBack) {
  enum : std::uint8_t { kStays, kEnds, kGoesOn, kEndsThere, kUsedAgain, kMetThere, kComes, kFlows };
  OwnTable from(1024, 1);
  OwnTable to(4096, 2);
  for (std::uint32_t number = kStays; number < kComes; ++number) from->insert(flow_of(number));
  dataplane::FlowMove move(*from, *to, [](topolb_flow&) { return true; });
  move.begin();
  ASSERT_EQ(to->count(), kComes);

  const auto remove = [](FlowTable& table, std::uint32_t number) {
    const auto found = find(table, number);
    ASSERT_TRUE(found && table.remove(found->first, found->second)) << number;
  };
  for (const auto number : {kEnds, kUsedAgain, kMetThere}) remove(*from, number);
  auto again = flow_of(kUsedAgain);
  again.backend.bytes[15] ^= 1;
  ASSERT_TRUE(from->insert(again));
  ASSERT_TRUE(from->insert(flow_of(kComes)));
  auto& goes_on = from->row(find(*from, kGoesOn)->first);
  goes_on.state |= TOPOLB_FLOW_CLIENT_FIN;
  goes_on.hops[TOPOLB_TO_BACKEND].fin_end = 4711;
  goes_on.touched += 5;
  goes_on.touched_tick += 7;
  remove(*to, kEndsThere);
  to->row(find(*to, kMetThere)->first).touched_tick += 7;

  move.finish();
  EXPECT_TRUE(find(*to, kStays));
  EXPECT_FALSE(find(*to, kEnds)) << "it ended before the switch";
  EXPECT_FALSE(find(*to, kEndsThere)) << "it ended after the switch";
  EXPECT_TRUE(find(*to, kMetThere)) << "its client goes on after the switch";
  EXPECT_TRUE(find(*to, kComes));
  const auto used_again = find(*to, kUsedAgain);
  ASSERT_TRUE(used_again);
  EXPECT_EQ(std::memcmp(&used_again->second.backend, &again.backend, sizeof(again.backend)), 0);
  const auto went_on = find(*to, kGoesOn);
  ASSERT_TRUE(went_on);
  EXPECT_EQ(went_on->second.state, goes_on.state);
  EXPECT_EQ(went_on->second.hops[TOPOLB_TO_BACKEND].fin_end, 4711);
  EXPECT_EQ(went_on->second.touched, goes_on.touched);
  EXPECT_EQ(went_on->second.touched_tick, goes_on.touched_tick);
  EXPECT_EQ(to->count(), kFlows - 2U);
  EXPECT_EQ(to->slot_count(), 2 * (kFlows - 2U));
}

TEST(FlowTable, TakesNoKeyTwice) {
  OwnTable table(1024, 1);
  const auto flow = flow_of(1);
  ASSERT_TRUE(table->insert(flow));
  auto other_backend = flow;
  other_backend.backend.bytes[15] ^= 1;
  EXPECT_FALSE(table->insert(other_backend)) << "the same packets of the client";
  auto other_client = flow;
  other_client.client.bytes[15] ^= 1;
  EXPECT_FALSE(table->insert(other_client)) << "the same packets of the backend";
  other_client.source_port_be ^= 1;
  EXPECT_TRUE(table->insert(other_client));
  EXPECT_EQ(table->slot_count(), 4U);
}

TEST(FlowTable, RemovesTheFlowThatWasMeant) {
  OwnTable table(1024, 1);
  ASSERT_TRUE(table->insert(flow_of(1)));
  std::optional<std::uint32_t> id;
  table->for_each([&](std::uint32_t found, const topolb_flow&) { id = found; });
  const auto first = table->read(*id);
  EXPECT_TRUE(table->remove(*id, *first));
  EXPECT_FALSE(table->remove(*id, *first)) << "gone";
  ASSERT_TRUE(table->insert(flow_of(1)));
  EXPECT_FALSE(table->remove(*id, *first)) << "another one, which looks the same";
  EXPECT_EQ(table->count(), 1U);
}

TEST(FlowTable, FlowsKeepTheAddressTheyBeganWith) {
  OwnTable table(1024, 1);
  for (const std::uint32_t number : {1U, 3U}) {
    ASSERT_TRUE(table->insert(masqueraded(flow_of(number), table.settings())));
  }
  table.masquerade_with("192.0.2.20", "2001:db8::20");
  for (const std::uint32_t number : {1U, 3U}) {
    auto flow = masqueraded(flow_of(number), table.settings());
    flow.client_port_be ^= 0x100;
    EXPECT_TRUE(table->insert(flow)) << "the same reply, but to another address";
  }
  std::multiset<std::string> seen;
  table->for_each([&](std::uint32_t id, const topolb_flow& flow) {
    seen.insert(dataplane::from_wire(table->address_seen_by_backend(flow)).to_string());
    EXPECT_TRUE(table->remove(id, flow));
  });
  EXPECT_EQ(seen, (std::multiset<std::string>{"192.0.2.10", "192.0.2.20", "2001:db8::10",
                                              "2001:db8::20"}));
  EXPECT_EQ(table->slot_count(), 0U);
}

TEST(FlowTable, RowsOfAddressesAreFreeOnceTheNodeHasLostThem) {
  OwnTable table(1024, 1);
  const dataplane::NodeAddresses node{{*IpAddress::parse("192.0.2.20"), 1},
                                      {*IpAddress::parse("2001:db8::10"), 1},
                                      {*IpAddress::parse("2001:db8::20"), 1}};
  for (const std::uint32_t number : {1U, 3U}) {
    ASSERT_TRUE(table->insert(masqueraded(flow_of(number), table.settings())));
  }
  ASSERT_TRUE(table->insert(flow_of(5))) << "a flow that is not masqueraded";
  dataplane::release_lost_masquerades(table.settings(), {}, *table);
  EXPECT_EQ(table->count(), 3U) << "new flows get them";

  table.masquerade_with("192.0.2.20", "2001:db8::20");
  dataplane::release_lost_masquerades(table.settings(), node, *table);
  std::multiset<std::string> clients;
  table->for_each([&](std::uint32_t, const topolb_flow& flow) {
    clients.insert(dataplane::from_wire(table->address_seen_by_backend(flow)).to_string());
  });
  EXPECT_EQ(clients, (std::multiset<std::string>{"198.51.0.0", "2001:db8::10"}));
  const auto lost_row = table.settings().masquerades[1];
  EXPECT_EQ(dataplane::from_wire(lost_row).to_string(), "192.0.2.10") << "while it had flows";
  dataplane::release_lost_masquerades(table.settings(), node, *table);
  table.masquerade_with("192.0.2.30", "2001:db8::10");
  EXPECT_EQ(dataplane::from_wire(table.settings().masquerades[1]).to_string(), "192.0.2.30");
}

TEST(FlowTable, HasRoomForSoManyAddresses) {
  OwnTable table(1, 1);
  const auto address = [](int number) {
    return IpAddress::parse("192.0.2." + std::to_string(number));
  };
  const auto choose = [&](int number) {
    return dataplane::choose_masquerades(table.settings(), {address(number), std::nullopt});
  };
  dataplane::NodeAddresses node;
  for (int number = 100; number < 100 + TOPOLB_MASQUERADES - 3; ++number) {
    EXPECT_TRUE(choose(number)) << number;
    node[*address(number)] = 1;
  }
  EXPECT_FALSE(choose(99));
  EXPECT_EQ(dataplane::from_wire(dataplane::chosen_masquerade(table.settings(), Family::IPv4))
                .to_string(),
            "192.0.2.160");
  node.erase(*address(120));
  dataplane::release_lost_masquerades(table.settings(), node, *table);
  EXPECT_TRUE(choose(99));
}

/// All slices once.
void collect(FlowCollector& collector, std::uint32_t now) {
  for (std::uint32_t slice = 0; slice < FlowCollector::kSlices; ++slice) collector.tick(now);
}

TEST(FlowCollector, RemovesWhatIsOverAndNothingElse) {
  OwnTable table(1024, 1);
  const auto now = dataplane::flow_time_now();
  std::uint32_t number = 0;
  std::set<std::uint32_t> stay;
  for (const std::uint8_t protocol : {6, 17}) {
    for (const std::uint32_t end :
         {0U, std::uint32_t{TOPOLB_FLOW_CLIENT_FIN}, std::uint32_t{TOPOLB_FLOW_BACKEND_FIN},
          std::uint32_t{TOPOLB_FLOW_CLOSED}, std::uint32_t{TOPOLB_FLOW_RESET}}) {
      for (const std::uint32_t reply : {0U, std::uint32_t{TOPOLB_FLOW_REPLIED}}) {
        const auto state = end | reply;
        const auto timeout_s = topolb_flow_timeout_s(protocol, state);
        for (const auto idle_s : {0U, timeout_s / 2, timeout_s - 1, timeout_s + 2, 2 * timeout_s}) {
          auto flow = flow_of(++number);
          flow.protocol = protocol;
          flow.state = state;
          flow.touched = now - topolb_flow_time(idle_s * 1'000'000'000ULL);
          ASSERT_TRUE(table->insert(flow));
          if (idle_s < timeout_s) stay.insert(number);
        }
      }
    }
  }
  FlowCollector collector(*table);
  collect(collector, now);
  std::set<std::uint32_t> left;
  table->for_each(
      [&](std::uint32_t, const topolb_flow& flow) { left.insert(flow.client_port_be); });
  EXPECT_EQ(left, stay);
  EXPECT_EQ(collector.flows(), stay.size());
  EXPECT_EQ(table->slot_count(), 2 * stay.size());
}

TEST(FlowCollector, FreesWhatAKilledAgentLeft) {
  OwnTable table(1024, 1);
  ASSERT_TRUE(table->insert(flow_of(1)));
  std::uint32_t id = 0;
  table->for_each([&](std::uint32_t found, const topolb_flow&) { id = found; });
  table->row(id).generation |= 1;
  FlowCollector collector(*table);
  collect(collector, dataplane::flow_time_now());
  EXPECT_EQ(table->count(), 1U) << "it may be written just now";
  collect(collector, dataplane::flow_time_now());
  EXPECT_EQ(table->count(), 0U);
  collect(collector, dataplane::flow_time_now());
  EXPECT_EQ(table->slot_count(), 0U);
}

}  // namespace
}  // namespace topolb::test
