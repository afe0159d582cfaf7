// SPDX-License-Identifier: Apache-2.0
// Tells which files below a directory of manifests have changed, by inotify. Not thread-safe: one
// owner. Open it before the first ManifestDirectory::scan(), so that nothing is missed between.
#pragma once

#include <sys/inotify.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kube/manifest_directory.h"
#include "util/result.h"
#include "util/unique_fd.h"

namespace topolb::kube {

/// Sees writers close a file, renames, links (among them the swap of a ConfigMap's `..data`), new
/// and removed directories, and the directory itself being replaced. A file is told when its
/// writer closes it; until then it is `unfinished`. Targets of links outside the directory are
/// seen when they are written to or replaced, not when a link on the way to them is.
class ManifestWatcher {
 public:
  /// Error: the directory cannot be watched (absent, or the limit of inotify is reached).
  static Result<ManifestWatcher> open(std::string path);

  /// Readable when drain() has something to look at.
  [[nodiscard]] int fd() const { return inotify_.get(); }
  /// What has changed since the last call; does not wait. May be empty.
  ChangedPaths drain();
  /// Directories that could not be watched as of now; sorted.
  [[nodiscard]] std::vector<core::Problem> problems() const;

 private:
  ManifestWatcher(std::string root, UniqueFd inotify);

  void watch(const std::string& path, bool is_directory);
  bool rewatch(const std::string& path);
  bool watch_again(const std::string& path);
  void read_events();
  void handle(const inotify_event& event, std::string_view name);
  void handle_self(const std::string& path, std::uint32_t mask);
  void handle_entry(const std::string& directory, const std::string& name, std::uint32_t mask);
  void handle_written(const std::string& path, std::uint32_t mask);
  void handle_created(const std::string& path);
  void settle_created();

  std::string root_;
  std::string name_in_parent_;
  UniqueFd inotify_;
  int parent_watch_ = -1;
  std::map<std::string, int> watch_of_path_;             // "" is the directory itself
  std::map<int, std::set<std::string>> paths_of_watch_;  // one inode may be reached twice
  std::map<std::string, int> unwatched_;                 // directories, and errno
  ChangedPaths changed_;
  std::set<std::string> created_;  // in this drain(), with content, and not seen to be written
};

}  // namespace topolb::kube
