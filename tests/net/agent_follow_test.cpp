// SPDX-License-Identifier: Apache-2.0
// Every way in which files change: the new state shows in connections, is told in one line of the
// log, and touches nothing else in the kernel. Source: design.md 4.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "agent_fixture.h"
#include "json_text.h"

namespace topolb::test {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kWeb = "10.96.0.1:80";
const std::string kOne = "10.1.0.1:8080";
const std::string kTwo = "10.1.0.2:8080";
const std::string kRefused;

std::string slice_one() { return slice_text("web", {{"10.1.0.1"}}); }
std::string slice_two() { return slice_text("web", {{"10.1.0.2"}}); }

class AgentFollow : public AgentTest {
 protected:
  AgentFollow() {
    serve(kOne);
    serve(kTwo);
    write("node.yaml", node_text("n1", {}));
    write("web.yaml", service_text({"web", "10.96.0.1"}));
    for (int i = 2; i < 10; ++i) {
      write(fmt::format("others/{}.yaml", i),
            web_text(fmt::format("other{}", i), fmt::format("10.96.0.{}", i), "10.1.0.1"));
    }
  }

  /// Where every Service but web is in the kernel: nothing of it may move.
  [[nodiscard]] std::map<std::string, std::vector<std::uint32_t>> places_of_others() const {
    std::map<std::string, std::vector<std::uint32_t>> places;
    for (const auto& service : state().services) {
      if (service.key.service.name == "web") continue;
      auto& place = places[service.key.service.name];
      place = service.internal.set_ids;
      place.push_back(service.id);
    }
    return places;
  }

  static std::int64_t operations() {
    return JsonText(get("/v1/status").body).number("/operations");
  }

  bool more_lines_than(std::size_t count) {
    return wait_until([&] { return agent().lines().size() > count; });
  }

  /// One change of the files that makes web go to `backend` (kRefused: nowhere).
  template <typename Change>
  void expect_change(const char* how, const std::string& backend, const Change& change) {
    SCOPED_TRACE(how);
    const auto lines_before = agent().lines().size();
    const auto operations_before = operations();
    const auto id = kernel_service("web").id;
    const auto others = places_of_others();
    change();
    const bool refused = backend == kRefused;
    EXPECT_TRUE(refused ? fails_with(kWeb, ECONNREFUSED) : comes_to(kWeb, backend));
    EXPECT_TRUE(wait_until([&] { return operations() > operations_before; }));
    EXPECT_EQ(operations(), operations_before + 1);
    ASSERT_TRUE(more_lines_than(lines_before));
    const auto lines = agent().lines();
    ASSERT_EQ(lines.size(), lines_before + 1) << agent().err();
    EXPECT_THAT(lines.back(), HasSubstr(refused ? "service default/web:80/TCP IPv4: reject"
                                                : "service default/web:80/TCP IPv4: 1 backend"));
    EXPECT_EQ(kernel_service("web").id, id);
    EXPECT_EQ(places_of_others(), others);
  }
};

TEST_F(AgentFollow, Files) {
  start_agent();
  expect_change("added", kOne, [&] { write("slice.yml", slice_one()); });
  expect_change("edited in place", kTwo, [&] { write("slice.yml", slice_two()); });
  expect_change("replaced by a rename", kOne, [&] { replace("slice.yml", slice_one()); });
  expect_change("removed", kRefused, [&] { remove("slice.yml"); });
  expect_change("moved in", kTwo, [&] {
    write(".new", slice_two());
    fs::rename(path(".new"), path("slice.yaml"));
  });
  expect_change("renamed to a name that is none of ours", kRefused,
                [&] { fs::rename(path("slice.yaml"), path("slice.yaml.off")); });
}

TEST_F(AgentFollow, Directories) {
  start_agent();
  expect_change("made, with a file", kOne, [&] { write("a/b/slice.yaml", slice_one()); });
  expect_change("a file in it edited", kTwo, [&] { write("a/b/slice.yaml", slice_two()); });
  expect_change("moved away", kRefused, [&] { fs::rename(path("a/b"), path("a/.b")); });
  expect_change("moved in", kTwo, [&] { fs::rename(path("a/.b"), path("c")); });
  expect_change("a file in it replaced", kOne, [&] { replace("c/slice.yaml", slice_one()); });
  expect_change("removed", kRefused, [&] { remove("c"); });
}

// A mounted ConfigMap: files are links through `..data`, which is replaced as one.
TEST_F(AgentFollow, ConfigMaps) {
  const auto publish = [&](const std::string& version, const std::string& text) {
    write("map/.." + version + "/slice.yaml", text);
    fs::create_directory_symlink(".." + version, path("map/..data_tmp"));
    fs::rename(path("map/..data_tmp"), path("map/..data"));
  };
  start_agent();
  expect_change("mounted", kOne, [&] {
    publish("2026_1", slice_one());
    fs::create_symlink("..data/slice.yaml", path("map/slice.yaml"));
  });
  expect_change("updated", kTwo, [&] { publish("2026_2", slice_two()); });
  expect_change("updated, the old one removed", kOne, [&] {
    publish("2026_3", slice_one());
    remove("map/..2026_2");
  });
  expect_change("unmounted", kRefused, [&] { remove("map"); });
}

TEST_F(AgentFollow, NothingIsReadOfAFileBeforeItsWriterCloses) {
  write("slice.yaml", slice_one());
  start_agent();
  std::ofstream writer(path("slice.yaml"));  // truncates
  const auto text = slice_two();
  writer << text.substr(0, text.size() / 2) << std::flush;
  // The agent sees another change after that one, and still serves what the file held.
  const auto before = agent().lines().size();
  write("others/2.yaml", web_text("other2", "10.96.0.2", "10.1.0.2"));
  ASSERT_TRUE(comes_to("10.96.0.2:80", kTwo));
  EXPECT_EQ(dial_tcp(kWeb).backend, kOne);
  writer << text.substr(text.size() / 2);
  writer.close();
  EXPECT_TRUE(comes_to(kWeb, kTwo));
  ASSERT_TRUE(more_lines_than(before + 1));
  EXPECT_EQ(agent().lines().size(), before + 2) << agent().err();
}

TEST_F(AgentFollow, AnEditWithoutADifferenceChangesNothing) {
  write("slice.yaml", slice_one());
  start_agent();
  const auto operations_before = operations();
  const auto before = agent().lines().size();
  write("slice.yaml", "# a comment\n" + slice_one());
  write("others/2.yaml", web_text("other2", "10.96.0.2", "10.1.0.2"));  // to know when it was read
  ASSERT_TRUE(comes_to("10.96.0.2:80", kTwo));
  ASSERT_TRUE(wait_until([&] { return operations() > operations_before; }));
  EXPECT_EQ(operations(), operations_before + 1);
  EXPECT_EQ(agent().lines().size(), before + 1) << agent().err();
}

TEST_F(AgentFollow, AServiceAddedAndRemoved) {
  start_agent();
  const auto others = places_of_others();
  auto before = agent().lines().size();
  write("more.yaml", web_text("more", "10.96.1.1", "10.1.0.1"));
  EXPECT_TRUE(comes_to("10.96.1.1:80", kOne));
  ASSERT_TRUE(more_lines_than(before + 1));
  EXPECT_THAT(agent().lines("default/more"),
              ElementsAre(HasSubstr("service default/more:80/TCP IPv4: 1 backend"),
                          HasSubstr("frontend ClusterIP 10.96.1.1:80 added")));
  before = agent().lines().size();
  remove("more.yaml");
  EXPECT_TRUE(wait_until([&] { return state().services.size() == others.size() + 1; }));
  ASSERT_TRUE(more_lines_than(before + 1));
  EXPECT_THAT(agent().lines("removed"), ElementsAre(HasSubstr("frontend ClusterIP 10.96.1.1:80"),
                                                    HasSubstr("service default/more:80/TCP")));
  EXPECT_EQ(places_of_others(), others);
}

// design.md 4: "logs each change in one line"; thousands at once are told in one.
TEST_F(AgentFollow, ManyChangesAtOnceAreToldInFewLines) {
  std::string services;
  for (int i = 0; i < 200; ++i) {
    services += service_text({fmt::format("s{}", i), fmt::format("10.97.0.{}", i), keys("rack")}) +
                slice_text(fmt::format("s{}", i), {{"10.1.0.1", "n1"}, {"10.1.0.2", "n2"}});
  }
  write("many.yaml", services);
  write("nodes.yaml", node_text("n2", {{"rack", "b"}}));
  write("node.yaml", node_text("n1", {{"rack", "a"}}));
  start_agent();
  ASSERT_EQ(dial_tcp("10.97.0.199:80").backend, kOne);
  const auto before = agent().lines().size();
  replace("node.yaml", node_text("n1", {{"rack", "b"}}));
  EXPECT_TRUE(agent().wait_for("... and "));
  EXPECT_THAT(agent().lines().back(), HasSubstr("180 more operations"));
  EXPECT_EQ(agent().lines().size(), before + 21);
  EXPECT_EQ(answers("10.97.0.199:80"), (std::set{kOne, kTwo}));
}

}  // namespace
}  // namespace topolb::test
