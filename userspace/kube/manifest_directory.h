// SPDX-License-Identifier: Apache-2.0
// A directory of manifest files as a source of objects: reads what changed, and tells the
// difference as data. Not thread-safe: one owner.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/model.h"
#include "kube/decode.h"
#include "kube/manifest_objects.h"
#include "util/result.h"

namespace topolb::kube {

/// What scan() is to look at; paths relative to the directory. ManifestWatcher makes these.
struct ChangedPaths {
  bool everything = false;
  std::set<std::string> paths{};       // of files, or of directories with all below them
  std::set<std::string> unfinished{};  // files that somebody is still writing: not read yet
  [[nodiscard]] bool empty() const { return !everything && paths.empty(); }
};

struct ManifestChanges {
  std::vector<DecodedObject> put;  // sorted by id: new, different or in another file
  std::vector<ObjectId> removed;   // sorted
  /// All problems as of now that belong to no object in force (whose own are in the
  /// DecodedObject): files (kind "File", name = path below the directory, "." for the directory
  /// itself; reasons Unreadable, InvalidManifest), documents without identity, DuplicateObject.
  /// Sorted.
  std::vector<core::Problem> problems;
};

/// Tells whether a file may have changed since it was read.
struct FileStamp {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

/// Every *.yaml, *.yml and *.json below a directory, links followed, names with a leading "." left
/// out. A file that cannot be read or parsed is a problem, and the objects that it last held stay.
class ManifestDirectory {
 public:
  /// Reads no file yet. Error: the directory cannot be read.
  static Result<ManifestDirectory> open(std::string path);

  /// Looks at every file; reads those whose inode, size or times have changed. If the directory
  /// has vanished, that is a problem, and everything stays.
  ManifestChanges scan();
  /// Looks at the paths named only, and reads them whatever their times. If somebody is still
  /// writing a file, what it last held stays.
  ManifestChanges scan(const ChangedPaths& changed);

  [[nodiscard]] const std::string& path() const { return root_; }

 private:
  struct File {
    std::optional<FileStamp> stamp;       // none: must be read again
    std::optional<std::size_t> content;   // hash of the text that was last parsed
    std::optional<std::string> unparsed;  // why that text could not be
    std::optional<std::string> unread;    // why the file cannot be read now
    std::vector<core::Problem> problems;  // of its documents
  };

  explicit ManifestDirectory(std::string path) : root_(std::move(path)) {}

  void look_below(const std::string& path, const std::set<std::string>& unfinished);
  void forget_below(const std::string& path, const std::set<std::string>& found,
                    const std::map<std::string, std::string>& unreadable);
  void forget(const std::string& path);
  void read(const std::string& path, bool force);
  void parse(const std::string& path, File& file, const std::string& text);
  ManifestChanges changes();
  [[nodiscard]] std::vector<core::Problem> problems() const;

  std::string root_;
  std::map<std::string, File> files_;
  std::set<std::string> troubled_;                 // files that have problems
  std::map<std::string, std::string> unreadable_;  // directories, and why
  ManifestObjects objects_;
};

}  // namespace topolb::kube
