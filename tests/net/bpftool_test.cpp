// SPDX-License-Identifier: Apache-2.0
// What `bpftool map dump` shows of the pinned maps, to somebody who has nothing else: named fields.
// Source: issue "The main job", Must show 5; maps/layout.h.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>

#include "agent_fixture.h"
#include "json_text.h"

namespace topolb::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using Names = std::set<std::string>;

/// Fields of key and value, as maps/layout.h names them; those of one machine word have none.
const std::map<std::string, Names>& fields_of_maps() {
  static const std::map<std::string, Names> fields{
      {"affinities",
       {"client_netns_cookie", "client_address", "service_id", "last_used_ns", "backend_id",
        "slot"}},
      {"backends", {"address", "port_be", "protocol", "state", "flags"}},
      {"counters", {"connections"}},
      {"frontends",
       {"address", "port_be", "protocol", "service_id", "kind", "inside_set", "outside_set"}},
      {"node_addresses", {"bytes", "interface_index"}},
      {"peers",
       {"sockets", "overflowed", "peers", "frontend_address", "backend_address", "frontend_port_be",
        "backend_port_be", "service_id", "backend_id", "slot"}},
      {"service_names", {"text", "port", "protocol", "family", "first_counter", "counter_count"}},
      {"sets",
       {"verdict", "flags", "counter", "topology_key_id", "affinity_timeout_s", "first_counter",
        "next_set", "backend_count", "first_line", "backend_ids"}},
      {"settings",
       {"layout_version", "node_port_min", "node_port_max", "node_netns_cookie", "published_ns",
        "publications", "heard_ns", "node_name"}},
      {"slots", {"backend_ids"}},
      {"topology_keys", {"name"}},
  };
  return fields;
}

void collect_names(simdjson::dom::element element, Names& names) {
  if (element.is_object()) {
    for (const auto field : simdjson::dom::object(element)) {
      names.emplace(field.key);
      collect_names(field.value, names);
    }
  } else if (element.is_array()) {
    for (const auto item : simdjson::dom::array(element)) collect_names(item, names);
  }
}

class Bpftool : public AgentTest {
 protected:
  Bpftool() {
    serve("10.1.0.1:8080");
    sandbox_.add_node_address("192.0.2.10");
    write("web.yaml",
          node_text("n1", {{"rack", "a"}}) + node_text("n2", {{"rack", "b"}}) +
              service_text({"web", "10.96.0.1", keys("rack,*"), "sessionAffinity: ClientIP"}) +
              slice_text("web", {{"10.1.0.1", "n1"}, {"10.1.0.2", "n2"}}));
    // Arrays show every row: small ones make short dumps.
    start_agent({"--max-backends=16", "--max-services=16", "--max-sets=16", "--max-slot-lines=16",
                 "--max-counters=16", "--max-frontends=16", "--max-affinities=16",
                 "--max-sockets=16", "--max-flows=16"});
    EXPECT_EQ(dial_tcp("10.96.0.1:80").backend, "10.1.0.1:8080");
  }

  /// Files directly below the pin path: the maps.
  [[nodiscard]] std::vector<std::string> pinned_maps() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(sandbox_.pin_path())) {
      if (!entry.is_directory()) names.push_back(entry.path().filename());
    }
    return names;
  }

  [[nodiscard]] std::string dump(const std::string& map, bool json) const {
    Words command{"bpftool", "map", "dump", "pinned", sandbox_.pin_path() + "/" + map};
    if (json) command.insert(command.begin() + 1, "--json");
    const auto outcome = run_to_end(command);
    EXPECT_EQ(outcome.exit_code, 0) << map << ": " << outcome.err << outcome.out;
    return outcome.out;
  }
};

TEST_F(Bpftool, EveryMapIsADocument) {
  Names seen;
  for (const auto& map : pinned_maps()) {
    SCOPED_TRACE(map);
    seen.insert(map);
    const JsonText entries(dump(map, true));
    const auto rows = entries.size("");
    Names names;
    for (std::size_t i = 0; i < rows; ++i) {
      const auto formatted = fmt::format("/{}/formatted", i);
      ASSERT_TRUE(entries.has(formatted)) << "no types: bytes only";
      collect_names(entries.at(formatted), names);
    }
    if (const auto found = fields_of_maps().find(map); found != fields_of_maps().end()) {
      EXPECT_THAT(names, IsSupersetOf(found->second));
    }
  }
  for (const auto& [map, fields] : fields_of_maps()) EXPECT_EQ(seen.count(map), 1U) << map;
}

// What a person reads without any flag.
TEST_F(Bpftool, TheTextTellsWhatIsProgrammed) {
  EXPECT_THAT(dump("service_names", false), HasSubstr(R"("text": "default/web/)"));
  EXPECT_THAT(dump("topology_keys", false), HasSubstr(R"("name": "rack")"));
  EXPECT_THAT(dump("settings", false), HasSubstr(R"("node_name": "n1")"));
  for (const auto& [map, fields] : fields_of_maps()) {
    const auto text = dump(map, false);
    for (const auto& field : fields) {
      EXPECT_THAT(text, HasSubstr(fmt::format("\"{}\": ", field))) << map;
    }
  }
}

}  // namespace
}  // namespace topolb::test
