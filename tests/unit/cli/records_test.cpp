// SPDX-License-Identifier: Apache-2.0
#include "cli/records.h"

#include <gtest/gtest.h>

#include <sstream>

namespace topolb::cli {
namespace {

Records sample() {
  Records records({{"ID", "id", Align::Right},
                   {"NAME", "name"},
                   {"", "hidden"},
                   {"SHOWN", ""},
                   {"ON", "on"},
                   {"LIST", "list"},
                   {"AGE", "age_seconds", Align::Right}});
  records.add({std::uint32_t{7}, "web", "h", "s", true, Json(std::vector<std::string>{"a", "b"}),
               RecordCell(std::uint64_t{120}, std::string("2 min"))});
  records.add({std::uint32_t{12}, Json(), Json(), "t", false, Json::Array{},
               RecordCell(std::uint64_t{3}, std::string("3 s"))});
  return records;
}

TEST(Records, AsATable) {
  std::ostringstream out;
  sample().print_table(out);
  EXPECT_EQ(out.str(),
            "ID  NAME  SHOWN  ON   LIST    AGE\n"
            " 7  web   s      yes  a, b  2 min\n"
            "12  -     t      no   -       3 s\n");
}

TEST(Records, AsJson) {
  std::ostringstream out;
  {
    JsonDocument document(out);
    sample().add_to(document, "rows");
  }
  EXPECT_EQ(out.str(), R"({"rows": [
  {"id": 7, "name": "web", "hidden": "h", "on": true, "list": ["a", "b"], "age_seconds": 120},
  {"id": 12, "name": null, "hidden": null, "on": false, "list": [], "age_seconds": 3}]}
)");
}

TEST(Records, AsFacts) {
  Records records({{"NODE", "node"}, {"", "hidden"}, {"PORTS", "ports"}});
  records.add({"n1", true, "30000 to 32767"});
  std::ostringstream out;
  records.print_facts(out);
  EXPECT_EQ(out.str(),
            "NODE   n1\n"
            "PORTS  30000 to 32767\n");
}

}  // namespace
}  // namespace topolb::cli
