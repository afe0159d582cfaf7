// SPDX-License-Identifier: Apache-2.0
// What changes of files come to. Source: design.md 4 ("a file that doesn't parse is a problem, and
// the objects that it last held stay"); Kubernetes' AtomicWriter (layout of a mounted ConfigMap).
#include "kube/manifest_directory.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "decode_text.h"
#include "temporary_directory.h"

namespace topolb::kube::test {
namespace {

Texts put_of(const ManifestChanges& changes) {
  Texts texts;
  for (const DecodedObject& object : changes.put) {
    texts.push_back(text_of(object).substr(std::string("Service default/").size()));
  }
  return texts;
}

Texts removed_of(const ManifestChanges& changes) {
  Texts texts;
  for (const ObjectId& id : changes.removed) texts.push_back(id.key.name);
  return texts;
}

void expect_nothing(const ManifestChanges& changes) {
  EXPECT_EQ(put_of(changes), Texts());
  EXPECT_EQ(removed_of(changes), Texts());
}

class ManifestDirectoryTest : public testing::Test {
 protected:
  ManifestDirectory open() {
    auto directory = ManifestDirectory::open(files_.path());
    EXPECT_TRUE(directory);
    return *std::move(directory);
  }

  TemporaryDirectory files_;
};

TEST_F(ManifestDirectoryTest, ReadsEveryManifestBelow) {
  files_.write("b.yaml", service_yaml("b"));
  files_.write("sub/deep/a.yml", service_yaml("a") + "---\n" + service_yaml("c"));
  files_.write("d.json", R"({"kind":"Service","metadata":{"name":"d"}})");
  files_.write("README.md", "not read");
  files_.write(".hidden.yaml", service_yaml("hidden"));
  files_.write(".git/e.yaml", service_yaml("hidden"));
  auto directory = open();
  const ManifestChanges changes = directory.scan();
  EXPECT_EQ(put_of(changes), (Texts{"a ips=10.96.0.1 :80/TCP", "b ips=10.96.0.1 :80/TCP",
                                    "c ips=10.96.0.1 :80/TCP", "d none"}));
  EXPECT_EQ(removed_of(changes), Texts());
  EXPECT_EQ(changes.problems, std::vector<core::Problem>());
  expect_nothing(directory.scan());
}

TEST_F(ManifestDirectoryTest, TellsRealDifferencesOnly) {
  files_.write("a.yaml", service_yaml("a") + "---\n" + service_yaml("b"));
  auto directory = open();
  directory.scan();
  files_.write("a.yaml", "# a comment\n" + service_yaml("a") + "---\n" + service_yaml("b", 81));
  EXPECT_EQ(put_of(directory.scan()), Texts{"b ips=10.96.0.1 :81/TCP"});
  files_.write("a.yaml", service_yaml("b", 81));
  const ManifestChanges removed = directory.scan();
  EXPECT_EQ(put_of(removed), Texts());
  EXPECT_EQ(removed_of(removed), Texts{"a"});
  files_.rename("a.yaml", "b.yaml");  // its problems name the file, so this is a difference
  EXPECT_EQ(put_of(directory.scan()), Texts{"b ips=10.96.0.1 :81/TCP"});
  files_.remove("b.yaml");
  EXPECT_EQ(removed_of(directory.scan()), Texts{"b"});
  expect_nothing(directory.scan());
}

// Two versions of the same length, written within one tick of the clock that stamps files.
TEST_F(ManifestDirectoryTest, SeesAChangeThatLeavesSizeAndTimeAlone) {
  files_.write("a.yaml", service_yaml("a", 80));
  auto directory = open();
  for (int port = 81; port < 99; ++port) {
    directory.scan();
    files_.write("a.yaml", service_yaml("a", port));
    EXPECT_EQ(put_of(directory.scan()).size(), 1U) << port;
  }
}

TEST_F(ManifestDirectoryTest, KeepsTheObjectsOfAFileThatNoLongerParses) {
  files_.write("a.yaml", service_yaml("a"));
  files_.write("b.yaml", service_yaml("b"));
  auto directory = open();
  directory.scan();
  files_.write("a.yaml", service_yaml("a", 81) + "x: [\n");
  files_.write("b.yaml", service_yaml("b", 81));
  const ManifestChanges broken = directory.scan();
  EXPECT_EQ(put_of(broken), Texts{"b ips=10.96.0.1 :81/TCP"});
  EXPECT_EQ(removed_of(broken), Texts());
  EXPECT_EQ(full_text_of(broken.problems),
            Texts{"File /a.yaml InvalidManifest line 6 column 1: did not find expected node "
                  "content while parsing a flow node; "
                  "what it last held stays"});
  EXPECT_EQ(directory.scan().problems, broken.problems);
  files_.write("a.yaml", service_yaml("a", 82));
  const ManifestChanges mended = directory.scan();
  EXPECT_EQ(put_of(mended), Texts{"a ips=10.96.0.1 :82/TCP"});
  EXPECT_EQ(mended.problems, std::vector<core::Problem>());
}

TEST_F(ManifestDirectoryTest, ReportsWhatIsWrongInTheFirstPlace) {
  files_.write("a.yaml", "a: [\n");
  files_.write("sub/b.yaml", "kind: Service\nmetadata: {}\n---\n" + service_yaml("b", 0));
  auto directory = open();
  const ManifestChanges changes = directory.scan();
  EXPECT_EQ(put_of(changes), Texts{"b none"});
  ASSERT_EQ(changes.put.size(), 1U);
  EXPECT_EQ(text_of(changes.put[0].problems),
            Texts{"InvalidPort spec.ports[0].port is 0, not a port number from 1 to 65535 (file "
                  "sub/b.yaml)"});
  EXPECT_EQ(full_text_of(changes.problems),
            (Texts{"File /a.yaml InvalidManifest line 2 column 1: did not find expected node "
                   "content while parsing a flow node",
                   "Service default/ InvalidObject metadata.name is missing (file sub/b.yaml, "
                   "document at line 1)"}));
  files_.remove("a.yaml");
  files_.remove("sub");
  EXPECT_EQ(directory.scan().problems, std::vector<core::Problem>());
}

TEST_F(ManifestDirectoryTest, LetsTheFirstOfTwoFilesWin) {
  files_.write("b.yaml", service_yaml("web", 82));
  auto directory = open();
  EXPECT_EQ(put_of(directory.scan()), Texts{"web ips=10.96.0.1 :82/TCP"});
  files_.write("a.yaml", service_yaml("web", 81));
  files_.write("c.yaml", service_yaml("web", 83));
  const ManifestChanges three = directory.scan();
  EXPECT_EQ(put_of(three), Texts{"web ips=10.96.0.1 :81/TCP"});
  EXPECT_EQ(full_text_of(three.problems),
            (Texts{"Service default/web DuplicateObject in file a.yaml and in file b.yaml; the "
                   "first one is used",
                   "Service default/web DuplicateObject in file a.yaml and in file c.yaml; the "
                   "first one is used"}));
  files_.write("c.yaml", service_yaml("web", 84));
  expect_nothing(directory.scan());
  files_.remove("a.yaml");
  const ManifestChanges two = directory.scan();
  EXPECT_EQ(put_of(two), Texts{"web ips=10.96.0.1 :82/TCP"});
  EXPECT_EQ(removed_of(two), Texts());
  files_.write("b.yaml", service_yaml("other"));
  const ManifestChanges one = directory.scan();
  EXPECT_EQ(put_of(one), (Texts{"other ips=10.96.0.1 :80/TCP", "web ips=10.96.0.1 :84/TCP"}));
  EXPECT_EQ(one.problems, std::vector<core::Problem>());
}

TEST_F(ManifestDirectoryTest, LetsTheFirstInOneFileWin) {
  files_.write("a.yaml", service_yaml("web", 81) + "---\n" + service_yaml("web", 82));
  auto directory = open();
  const ManifestChanges changes = directory.scan();
  EXPECT_EQ(put_of(changes), Texts{"web ips=10.96.0.1 :81/TCP"});
  EXPECT_EQ(
      full_text_of(changes.problems),
      Texts{"Service default/web DuplicateObject twice in file a.yaml; the first one is used"});
}

TEST_F(ManifestDirectoryTest, KeepsTheObjectsOfAFileThatCannotBeRead) {
  files_.write("a.yaml", service_yaml("a"));
  auto directory = open();
  directory.scan();
  files_.remove("a.yaml");
  files_.link("nowhere.yaml", "a.yaml");  // there, but not to be read, even by root
  const ManifestChanges unreadable = directory.scan();
  expect_nothing(unreadable);
  EXPECT_EQ(full_text_of(unreadable.problems),
            Texts{"File /a.yaml Unreadable read file: No such file or directory; what it last held "
                  "stays"});
  files_.replace("a.yaml", service_yaml("a"));
  const ManifestChanges readable = directory.scan();
  expect_nothing(readable);
  EXPECT_EQ(readable.problems, std::vector<core::Problem>());
}

TEST_F(ManifestDirectoryTest, DoesNotWaitForAFifo) {
  ASSERT_EQ(::mkfifo(files_.path("a.yaml").c_str(), 0600), 0);
  auto directory = open();
  EXPECT_EQ(full_text_of(directory.scan().problems),
            Texts{"File /a.yaml Unreadable read file: no regular file"});
}

TEST_F(ManifestDirectoryTest, ShowsOddNamesInOneLine) {
  files_.write("a\nb.yaml", service_yaml("a"));
  auto directory = open();
  const ManifestChanges changes = directory.scan();
  EXPECT_EQ(put_of(changes), Texts());
  EXPECT_EQ(full_text_of(changes.problems),
            Texts{R"(File /"a\u000ab.yaml" Unreadable read file: a name that is no UTF-8, or has )"
                  "control characters"});
}

TEST_F(ManifestDirectoryTest, ReadsAMountedConfigMapOnce) {
  files_.write("..1/web.yaml", service_yaml("web", 81));
  files_.write("..1/sub/db.yaml", service_yaml("db", 81));
  files_.link("..1", "..data");
  files_.link("..data/web.yaml", "web.yaml");
  files_.link("..data/sub", "sub");
  auto directory = open();
  const ManifestChanges first = directory.scan();
  EXPECT_EQ(put_of(first), (Texts{"db ips=10.96.0.1 :81/TCP", "web ips=10.96.0.1 :81/TCP"}));
  EXPECT_EQ(first.problems, std::vector<core::Problem>());
  files_.write("..2/web.yaml", service_yaml("web", 82));
  files_.write("..2/sub/db.yaml", service_yaml("db", 81));
  files_.link("..2", "..data");
  files_.remove("..1");
  const ManifestChanges second = directory.scan();
  EXPECT_EQ(put_of(second), Texts{"web ips=10.96.0.1 :82/TCP"});
  EXPECT_EQ(removed_of(second), Texts());
}

TEST_F(ManifestDirectoryTest, FollowsNoLinkBackUp) {
  files_.write("sub/a.yaml", service_yaml("a"));
  files_.link("..", "sub/up");
  files_.link(".", "same");
  auto directory = open();
  const ManifestChanges changes = directory.scan();
  EXPECT_EQ(put_of(changes), Texts{"a ips=10.96.0.1 :80/TCP"});
  EXPECT_EQ(changes.problems, std::vector<core::Problem>());
  expect_nothing(directory.scan({.paths = {"sub"}}));
}

TEST_F(ManifestDirectoryTest, KeepsEverythingWhenTheDirectoryVanishes) {
  files_.write("dir/a.yaml", service_yaml("a"));
  auto opened = ManifestDirectory::open(files_.path("dir"));
  ASSERT_TRUE(opened);
  ManifestDirectory& directory = *opened;
  directory.scan();
  files_.rename("dir", "away");
  for (const ManifestChanges& gone : {directory.scan(), directory.scan({.paths = {"a.yaml"}})}) {
    expect_nothing(gone);
    EXPECT_EQ(full_text_of(gone.problems),
              Texts{"File /. Unreadable read directory: No such file or directory; what was last "
                    "read stays"});
  }
  files_.write("dir/a.yaml", service_yaml("a", 81));
  const ManifestChanges back = directory.scan({.paths = {"other.yaml"}});
  EXPECT_EQ(put_of(back), Texts{"a ips=10.96.0.1 :81/TCP"});
  EXPECT_EQ(back.problems, std::vector<core::Problem>());
}

TEST_F(ManifestDirectoryTest, RefusesWhatIsNoDirectory) {
  files_.write("file", "");
  for (const auto& [name, words] :
       {std::pair("nothing", "No such file or directory"), std::pair("file", "Not a directory")}) {
    const auto directory = ManifestDirectory::open(files_.path(name));
    ASSERT_FALSE(directory);
    EXPECT_EQ(directory.error().message(), "read directory " + files_.path(name) + ": " + words);
  }
}

TEST_F(ManifestDirectoryTest, LooksAtNamedPathsOnly) {
  files_.write("a.yaml", service_yaml("a"));
  files_.write("b.yaml", service_yaml("b"));
  files_.write("sub/c.yaml", service_yaml("c"));
  files_.write("sub-d.yaml", service_yaml("d"));
  auto directory = open();
  directory.scan();
  files_.write("a.yaml", service_yaml("a", 81));
  files_.write("b.yaml", service_yaml("b", 81));
  EXPECT_EQ(put_of(directory.scan({.paths = {"a.yaml"}})), Texts{"a ips=10.96.0.1 :81/TCP"});
  EXPECT_EQ(put_of(directory.scan({.paths = {"b.yaml"}, .unfinished = {"b.yaml"}})), Texts());
  EXPECT_EQ(put_of(directory.scan({.everything = true, .unfinished = {"b.yaml"}})), Texts());
  EXPECT_EQ(put_of(directory.scan({.everything = true})), Texts{"b ips=10.96.0.1 :81/TCP"});
  files_.rename("sub", "moved");
  EXPECT_EQ(removed_of(directory.scan({.paths = {"sub"}})), Texts{"c"});
  EXPECT_EQ(put_of(directory.scan({.paths = {"moved"}})), Texts{"c ips=10.96.0.1 :80/TCP"});
  expect_nothing(directory.scan({.paths = {"README", ".hidden.yaml", "nothing.yaml", "no/dir"}}));
}

TEST_F(ManifestDirectoryTest, TakesAFileAndADirectoryOfOneName) {
  files_.write("a.yaml", service_yaml("a"));
  auto directory = open();
  directory.scan();
  files_.remove("a.yaml");
  files_.write("a.yaml/b.yaml", service_yaml("b"));
  const ManifestChanges to_directory = directory.scan({.paths = {"a.yaml"}});
  EXPECT_EQ(put_of(to_directory), Texts{"b ips=10.96.0.1 :80/TCP"});
  EXPECT_EQ(removed_of(to_directory), Texts{"a"});
  files_.remove("a.yaml");
  files_.write("a.yaml", service_yaml("a"));
  const ManifestChanges to_file = directory.scan({.paths = {"a.yaml"}});
  EXPECT_EQ(put_of(to_file), Texts{"a ips=10.96.0.1 :80/TCP"});
  EXPECT_EQ(removed_of(to_file), Texts{"b"});
}

}  // namespace
}  // namespace topolb::kube::test
