// SPDX-License-Identifier: Apache-2.0
#include "cli/status_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "cli_run.h"

namespace topolb::cli {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

StatusView healthy() {
  StatusView status;
  status.agent_running = true;
  status.node = "n1";
  status.pin_path = "/sys/fs/bpf/topolb";
  status.layout_version = 1;
  status.published_s = 1'767'225'600;
  status.now_s = status.published_s + 12;
  status.publications = 34;
  status.service_ports = 2;
  status.frontends = 3;
  status.usable_backends = 5;
  status.hooks = {{"connect4", true, 231, "cgroup /sys/fs/cgroup"},
                  {"connect6", true, 232, "cgroup /sys/fs/cgroup"}};
  status.maps = {{.name = "backends",
                  .type = "array",
                  .entries = 65536,
                  .max_entries = 131072,
                  .key_bytes = 4,
                  .value_bytes = 24,
                  .entry_bytes = 24,
                  .memory_bytes = 3 << 20},
                 {.name = "settings",
                  .type = "array",
                  .entries = 1,
                  .max_entries = 1,
                  .key_bytes = 4,
                  .value_bytes = 328,
                  .entry_bytes = 328,
                  .memory_bytes = 8192}};
  return status;
}

std::string text_of(const StatusView& status) {
  std::ostringstream out;
  print_status(out, status);
  return out.str();
}

TEST(Status, OfAHealthyNodeLacksNothing) {
  EXPECT_THAT(healthy().missing(), IsEmpty());
  EXPECT_EQ(text_of(healthy()),
            "Agent    running\n"
            "Node     n1\n"
            "Pins     /sys/fs/bpf/topolb (layout version 1)\n"
            "State    published 12 s ago (2026-01-01 00:00:00 UTC), 34 publications\n"
            "Serving  2 Service ports, 3 frontends, 5 backends\n"
            "\n"
            "HOOK      ATTACHED  PROGRAM  WHERE\n"
            "connect4  yes           231  cgroup /sys/fs/cgroup\n"
            "connect6  yes           232  cgroup /sys/fs/cgroup\n"
            "\n"
            "MAP       ENTRIES     MAX  FULL\n"
            "backends    65536  131072  50 %\n"
            "settings        1       1     -\n");
}

TEST(Status, SaysForHowLongTheApiServerIsSilent) {
  StatusView status = healthy();
  status.heard_s = status.now_s - 300;
  EXPECT_NE(
      text_of(status).find("\nAPI      every kind of object heard of within the last 5 min\n"),
      std::string::npos)
      << text_of(status);
  std::ostringstream json;
  print_status_json(json, status);
  EXPECT_NE(json.str().find("\"silence_seconds\": 300,"), std::string::npos) << json.str();
}

TEST(Status, SaysWhatIsMissing) {
  StatusView status = healthy();
  status.agent_running = false;
  status.published_s = 0;
  status.unusable_backends = 1;
  status.hooks = {{"connect4", false, 0, ""}, {"connect6", false, 0, ""}};
  status.maps.resize(1);
  EXPECT_THAT(status.missing(), ElementsAre("no agent runs (the kernel keeps its last state)",
                                            "no complete state has been published",
                                            "not attached: connect4, connect6"));
  EXPECT_EQ(text_of(status),
            "Agent    not running\n"
            "Node     n1\n"
            "Pins     /sys/fs/bpf/topolb (layout version 1)\n"
            "State    not complete yet\n"
            "Serving  2 Service ports, 3 frontends, 6 backends (1 unusable)\n"
            "Missing  no agent runs (the kernel keeps its last state)\n"
            "         no complete state has been published\n"
            "         not attached: connect4, connect6\n"
            "\n"
            "HOOK      ATTACHED  PROGRAM  WHERE\n"
            "connect4  no              -  -\n"
            "connect6  no              -  -\n"
            "\n"
            "MAP       ENTRIES     MAX  FULL\n"
            "backends    65536  131072  50 %\n");
}

TEST(Status, TellsOfPressureOnTheFlowTable) {
  StatusView status = healthy();
  status.flows = FlowPressure{.flows = 65000, .room = 65536, .opened = 70000};
  const auto flows_line = [&] {
    const auto text = text_of(status);
    const auto at = text.find("Flows    ");
    return text.substr(at, text.find("\n\n", at) - at);
  };
  EXPECT_EQ(flows_line(), "Flows    65000 of 65536 (99 %)");
  status.flows->evicted = 4000;
  status.flows->refused = 12;
  status.flows->without_port = 1;
  status.flows->direct_refused = 3;
  EXPECT_EQ(flows_line(),
            "Flows    65000 of 65536 (99 %); 4000 made room for others; 12 refused: the table\n"
            "         was full; 1 refused: no source port was free; 3 masqueraded: a\n"
            "         backend's node is without --dsr");
  std::ostringstream json;
  print_status_json(json, status);
  EXPECT_NE(
      json.str().find(R"("flows": {"entries": 65000, "max_entries": 65536, "opened": 70000, )"
                      R"("evicted": 4000, "refused": 12, "without_port": 1, "direct_refused": 3})"),
      std::string::npos)
      << json.str();
}

TEST(Status, JsonHasTheSame) {
  StatusView status = healthy();
  status.hooks[1] = {"connect6", false, 0, ""};
  std::ostringstream out;
  print_status_json(out, status);
  EXPECT_EQ(out.str(), R"({"node": "n1",
 "agent_running": true,
 "pin_path": "/sys/fs/bpf/topolb",
 "layout_version": 1,
 "published_seconds": 1767225600,
 "age_seconds": 12,
 "publications": 34,
 "heard_seconds": null,
 "silence_seconds": null,
 "service_ports": 2,
 "frontends": 3,
 "usable_backends": 5,
 "unusable_backends": 0,
 "flows": null,
 "missing": ["not attached: connect6"],
 "hooks": [
  {"name": "connect4", "attached": true, "program_id": 231, "where": "cgroup /sys/fs/cgroup"},
  {"name": "connect6", "attached": false, "program_id": null, "where": null}],
 "maps": [
  {"name": "backends", "type": "array", "entries": 65536, "max_entries": 131072},
  {"name": "settings", "type": "array", "entries": 1, "max_entries": 1}]}
)");
}

TEST(Status, MapListHasSizes) {
  const Records maps = map_records(healthy().maps, true);
  std::ostringstream table;
  maps.print_table(table);
  EXPECT_EQ(table.str(),
            "MAP       TYPE   ENTRIES     MAX  FULL  ENTRY   MEMORY\n"
            "backends  array    65536  131072  50 %   24 B  3.0 MiB\n"
            "settings  array        1       1     -  328 B  8.0 KiB\n");
  std::ostringstream json;
  maps.to_json(0).write(json);
  EXPECT_EQ(json.str(),
            R"({"name": "backends", "type": "array", "entries": 65536, "max_entries": 131072, )"
            R"("key_bytes": 4, "value_bytes": 24, "memory_bytes": 3145728})");
}

}  // namespace
}  // namespace topolb::cli
