// SPDX-License-Identifier: Apache-2.0
// Which changes of files are seen, and when. The kernel queues an event before the call that causes
// it returns, so nothing here waits: what is not in the queue now never will be.
#include "kube/manifest_watcher.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <fstream>

#include "decode_text.h"
#include "temporary_directory.h"

namespace topolb::kube::test {
namespace {

/// A file that somebody writes slowly.
class SlowWriter {
 public:
  SlowWriter(const std::string& path, int flags)
      : fd_(::open(path.c_str(), flags | O_WRONLY | O_CLOEXEC, 0600)) {
    EXPECT_TRUE(fd_);
  }
  void write(const std::string& text) const {
    EXPECT_EQ(::write(fd_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void close() { fd_.reset(); }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
};

class ManifestWatcherTest : public testing::Test {
 protected:
  /// The files below `dir/`, watched; what is there so far is known.
  void watch() {
    auto watcher = ManifestWatcher::open(files_.path("dir"));
    ASSERT_TRUE(watcher) << watcher.error().message();
    watcher_.emplace(*std::move(watcher));
    auto directory = ManifestDirectory::open(files_.path("dir"));
    ASSERT_TRUE(directory);
    directory_.emplace(*std::move(directory));
    directory_->scan();
  }

  [[nodiscard]] bool readable() const {
    pollfd polled{watcher_->fd(), POLLIN, 0};
    return ::poll(&polled, 1, 0) == 1;
  }

  /// "+name:port" for each Service put, "-name" for each removed, since the last call.
  Texts seen() {
    const ChangedPaths changed = watcher_->drain();
    EXPECT_FALSE(readable());
    Texts texts;
    if (changed.empty()) return texts;
    ManifestChanges changes = directory_->scan(changed);
    problems_ = std::move(changes.problems);
    for (const DecodedObject& object : changes.put) {
      const auto& service = std::get<core::Service>(object.object);
      texts.push_back("+" + object.id.key.name + ":" + std::to_string(service.ports[0].number));
    }
    for (const ObjectId& id : changes.removed) texts.push_back("-" + id.key.name);
    return texts;
  }

  TemporaryDirectory files_;
  std::optional<ManifestWatcher> watcher_;
  std::optional<ManifestDirectory> directory_;
  std::vector<core::Problem> problems_;
};

TEST_F(ManifestWatcherTest, SeesWritesInPlace) {
  files_.write("dir/a.yaml", service_yaml("a"));
  watch();
  EXPECT_FALSE(readable());
  files_.write("dir/a.yaml", service_yaml("a", 81));
  EXPECT_TRUE(readable());
  EXPECT_EQ(seen(), Texts{"+a:81"});
  files_.write("dir/b.yaml", service_yaml("b"));
  EXPECT_EQ(seen(), Texts{"+b:80"});
  EXPECT_EQ(seen(), Texts());
}

TEST_F(ManifestWatcherTest, SeesRenamesAndRemovals) {
  files_.write("dir/a.yaml", service_yaml("a"));
  watch();
  files_.replace("dir/a.yaml", service_yaml("a", 81));
  EXPECT_EQ(seen(), Texts{"+a:81"});
  files_.rename("dir/a.yaml", "dir/a.txt");
  EXPECT_EQ(seen(), Texts{"-a"});
  files_.rename("dir/a.txt", "dir/b.yaml");
  EXPECT_EQ(seen(), Texts{"+a:81"});
  files_.rename("dir/b.yaml", "dir/c.yaml");
  EXPECT_EQ(seen(), Texts{"+a:81"});
  files_.rename("dir/c.yaml", "outside.yaml");
  EXPECT_EQ(seen(), Texts{"-a"});
  files_.rename("outside.yaml", "dir/d.yaml");
  EXPECT_EQ(seen(), Texts{"+a:81"});
  files_.remove("dir/d.yaml");
  EXPECT_EQ(seen(), Texts{"-a"});
}

TEST_F(ManifestWatcherTest, NamesNothingElse) {
  files_.write("dir/a.yaml", service_yaml("a"));
  watch();
  files_.write("dir/README", "x");
  files_.write("dir/.a.yaml.swp", "x");
  files_.write("other.yaml", "x");
  EXPECT_TRUE(watcher_->drain().empty());
  files_.write("dir/a.yaml", service_yaml("a", 81));
  const ChangedPaths changed = watcher_->drain();
  EXPECT_FALSE(changed.everything);
  EXPECT_EQ(changed.paths, std::set<std::string>{"a.yaml"});
}

TEST_F(ManifestWatcherTest, WaitsForASlowWriter) {
  files_.write("dir/a.yaml", service_yaml("a"));
  watch();
  SlowWriter writer(files_.path("dir/a.yaml"), O_TRUNC);
  EXPECT_EQ(seen(), Texts());
  const std::string text = service_yaml("a", 81) + "---\n" + service_yaml("b");
  writer.write(text.substr(0, 40));
  EXPECT_EQ(seen(), Texts());
  // Whatever makes the whole directory be looked at, the half file is not taken for its content.
  files_.write("dir/..1/c.yaml", service_yaml("c"));
  files_.link("..1", "dir/..data");
  files_.link("..data/c.yaml", "dir/c.yaml");
  EXPECT_EQ(seen(), Texts{"+c:80"});
  writer.write(text.substr(40));
  EXPECT_EQ(seen(), Texts());
  writer.close();
  EXPECT_EQ(seen(), (Texts{"+a:81", "+b:80"}));
}

TEST_F(ManifestWatcherTest, WaitsForTheWriterOfANewFile) {
  files_.make_directory("dir");
  watch();
  SlowWriter writer(files_.path("dir/a.yaml"), O_CREAT);
  EXPECT_EQ(seen(), Texts());
  writer.write(service_yaml("a"));
  EXPECT_EQ(seen(), Texts());
  writer.close();
  EXPECT_EQ(seen(), Texts{"+a:80"});
}

// Editors that move the old file away first, then write a new one.
TEST_F(ManifestWatcherTest, DoesNotFlapWhenAFileIsWrittenAnew) {
  files_.write("dir/a.yaml", service_yaml("a"));
  watch();
  files_.rename("dir/a.yaml", "dir/a.yaml~");
  SlowWriter writer(files_.path("dir/a.yaml"), O_CREAT);
  EXPECT_EQ(seen(), Texts());
  writer.write(service_yaml("a", 81));
  EXPECT_EQ(seen(), Texts());
  writer.close();
  EXPECT_EQ(seen(), Texts{"+a:81"});
}

TEST_F(ManifestWatcherTest, SeesFilesThatAppearWhole) {
  files_.write("outside.yaml", service_yaml("a"));
  files_.make_directory("dir");
  watch();
  std::filesystem::create_hard_link(files_.path("outside.yaml"), files_.path("dir/hard.yaml"));
  EXPECT_EQ(seen(), Texts{"+a:80"});
  SlowWriter writer(files_.path("dir"), O_TMPFILE);
  writer.write(service_yaml("b"));
  ASSERT_EQ(::linkat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(writer.fd())).c_str(), AT_FDCWD,
                     files_.path("dir/b.yaml").c_str(), AT_SYMLINK_FOLLOW),
            0);
  EXPECT_EQ(seen(), Texts{"+b:80"});
}

TEST_F(ManifestWatcherTest, SeesSwapsOfAConfigMap) {
  files_.write("dir/..1/web.yaml", service_yaml("web", 81));
  files_.write("dir/..1/sub/db.yaml", service_yaml("db", 81));
  files_.link("..1", "dir/..data");
  files_.link("..data/web.yaml", "dir/web.yaml");
  files_.link("..data/sub", "dir/sub");
  watch();
  files_.write("dir/..2/web.yaml", service_yaml("web", 82));
  files_.write("dir/..2/sub/db.yaml", service_yaml("db", 81));
  EXPECT_EQ(seen(), Texts());
  files_.link("..2", "dir/..data");
  files_.remove("dir/..1");
  EXPECT_EQ(seen(), Texts{"+web:82"});
  files_.write("dir/..3/sub/db.yaml", service_yaml("db", 83));
  files_.link("..3", "dir/..data");
  files_.remove("dir/web.yaml");
  EXPECT_EQ(seen(), (Texts{"+db:83", "-web"}));
}

TEST_F(ManifestWatcherTest, SeesSwapsOfAConfigMapInASubdirectory) {
  files_.write("dir/sub/..1/web.yaml", service_yaml("web", 81));
  files_.link("..1", "dir/sub/..data");
  files_.link("..data/web.yaml", "dir/sub/web.yaml");
  watch();
  files_.write("dir/sub/..2/web.yaml", service_yaml("web", 82));
  files_.link("..2", "dir/sub/..data");
  const ChangedPaths changed = watcher_->drain();
  EXPECT_EQ(changed.paths, std::set<std::string>{"sub"});
  EXPECT_EQ(directory_->scan(changed).put.size(), 1U);
}

TEST_F(ManifestWatcherTest, SeesNewAndRemovedDirectories) {
  files_.make_directory("dir");
  watch();
  files_.write("dir/one/two/a.yaml", service_yaml("a"));
  EXPECT_EQ(seen(), Texts{"+a:80"});
  files_.write("dir/one/two/a.yaml", service_yaml("a", 81));
  EXPECT_EQ(seen(), Texts{"+a:81"});
  files_.rename("dir/one", "dir/uno");
  EXPECT_EQ(seen(), Texts{"+a:81"});
  files_.write("dir/uno/two/a.yaml", service_yaml("a", 82));
  EXPECT_EQ(seen(), Texts{"+a:82"});
  files_.rename("dir/uno", "away");
  EXPECT_EQ(seen(), Texts{"-a"});
  files_.write("away/two/a.yaml", service_yaml("a", 83));
  EXPECT_EQ(seen(), Texts());
  files_.rename("away", "dir/back");
  EXPECT_EQ(seen(), Texts{"+a:83"});
  files_.remove("dir/back");
  EXPECT_EQ(seen(), Texts{"-a"});
}

TEST_F(ManifestWatcherTest, SeesTheDirectoryReplaced) {
  files_.write("dir/a.yaml", service_yaml("a"));
  files_.write("next/b.yaml", service_yaml("b"));
  watch();
  files_.rename("dir", "old");
  EXPECT_EQ(seen(), Texts());
  ASSERT_EQ(problems_.size(), 1U);
  EXPECT_EQ(problems_[0].reason, "Unreadable");
  files_.rename("next", "dir");
  EXPECT_EQ(seen(), (Texts{"+b:80", "-a"}));
  EXPECT_EQ(problems_, std::vector<core::Problem>());
  files_.write("dir/b.yaml", service_yaml("b", 81));
  EXPECT_EQ(seen(), Texts{"+b:81"});
  files_.write("old/a.yaml", service_yaml("a", 81));
  EXPECT_EQ(seen(), Texts());
}

TEST_F(ManifestWatcherTest, SeesTheLinkToTheDirectoryMoved) {
  files_.write("one/a.yaml", service_yaml("a"));
  files_.write("two/a.yaml", service_yaml("a", 81));
  files_.link("one", "dir");
  watch();
  files_.link("two", "dir");
  EXPECT_EQ(seen(), Texts{"+a:81"});
  files_.write("two/a.yaml", service_yaml("a", 82));
  EXPECT_EQ(seen(), Texts{"+a:82"});
}

TEST_F(ManifestWatcherTest, SeesTargetsOutside) {
  files_.write("outside.yaml", service_yaml("a"));
  files_.write("outside/b.yaml", service_yaml("b"));
  files_.make_directory("dir");
  watch();
  files_.link("../outside.yaml", "dir/a.yaml");
  files_.link("../outside", "dir/linked");
  EXPECT_EQ(seen(), (Texts{"+a:80", "+b:80"}));
  files_.write("outside.yaml", service_yaml("a", 81));
  EXPECT_EQ(seen(), Texts{"+a:81"});
  files_.replace("outside.yaml", service_yaml("a", 82));
  EXPECT_EQ(seen(), Texts{"+a:82"});
  files_.write("outside.yaml", service_yaml("a", 83));
  files_.write("outside/b.yaml", service_yaml("b", 83));
  EXPECT_EQ(seen(), (Texts{"+a:83", "+b:83"}));
  files_.remove("dir/linked");
  EXPECT_EQ(seen(), Texts{"-b"});
  files_.write("outside/b.yaml", service_yaml("b", 84));
  EXPECT_EQ(seen(), Texts());
}

TEST_F(ManifestWatcherTest, SurvivesAnOverflowOfTheQueue) {
  std::size_t limit = 0;
  std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> limit;
  ASSERT_GT(limit, 0U);
  files_.write("dir/a.yaml", service_yaml("a"));
  files_.write("dir/b.yaml", service_yaml("b"));
  watch();
  SlowWriter writer(files_.path("dir/b.yaml"), O_TRUNC);
  writer.write(service_yaml("b", 81));
  // Equal events in a row become one, so two names take turns.
  for (std::size_t i = 0; i <= limit / 2; ++i) {
    for (const char* name : {"dir/x", "dir/y"}) {
      UniqueFd(::open(files_.path(name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)).reset();
    }
  }
  writer.close();
  files_.write("dir/a.yaml", service_yaml("a", 81));
  const ChangedPaths changed = watcher_->drain();
  EXPECT_TRUE(changed.everything);
  EXPECT_EQ(changed.unfinished, std::set<std::string>());
  EXPECT_EQ(directory_->scan(changed).put.size(), 2U);
  files_.write("dir/a.yaml", service_yaml("a", 82));
  EXPECT_EQ(seen(), Texts{"+a:82"});
}

TEST_F(ManifestWatcherTest, RefusesWhatIsNoDirectory) {
  files_.write("file", "");
  for (const auto& [name, words] :
       {std::pair("nothing", "No such file or directory"), std::pair("file", "Not a directory")}) {
    const auto watcher = ManifestWatcher::open(files_.path(name));
    ASSERT_FALSE(watcher);
    EXPECT_EQ(watcher.error().message(), "watch directory " + files_.path(name) + ": " + words);
  }
}

}  // namespace
}  // namespace topolb::kube::test
