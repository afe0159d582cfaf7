// SPDX-License-Identifier: Apache-2.0
#include "kube/manifest_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "kube/manifest_file.h"
#include "util/unique_fd.h"

namespace topolb::kube {
namespace {

struct DirectoryCloser {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, DirectoryCloser>;
using FileIdentity = std::pair<dev_t, ino_t>;

Directory open_directory(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Directory directory(fd ? ::fdopendir(fd.get()) : nullptr);
  if (directory) static_cast<void>(fd.release());  // the DIR closes it
  return directory;
}

class Walk {
 public:
  Walk(const std::string& root, const ManifestVisitor& visitor) : root_(root), visitor_(visitor) {}

  /// Makes the directories above `path` known as such.
  void begin_at(const std::string& path);
  void enter(const std::string& path);

 private:
  void visit_entry(const std::string& path, const dirent& entry);

  const std::string& root_;
  const ManifestVisitor& visitor_;
  std::vector<FileIdentity> above_;  // the directories that lead here
};

void Walk::begin_at(const std::string& path) {
  for (std::size_t end = 0; end < path.size();
       end = std::min(path.find('/', end + 1), path.size())) {
    struct stat status {};
    if (::stat(join_path(root_, path.substr(0, end)).c_str(), &status) != 0) continue;
    above_.emplace_back(status.st_dev, status.st_ino);
  }
}

void Walk::enter(const std::string& path) {
  visitor_.directory(path);
  const Directory directory = open_directory(join_path(root_, path));
  struct stat status {};
  if (!directory || ::fstat(::dirfd(directory.get()), &status) != 0) {
    visitor_.unreadable(path, errno);
    return;
  }
  const FileIdentity identity{status.st_dev, status.st_ino};
  if (std::find(above_.begin(), above_.end(), identity) != above_.end()) return;
  above_.push_back(identity);
  errno = 0;
  while (const dirent* entry = ::readdir(directory.get())) {
    visit_entry(join_path(path, static_cast<const char*>(entry->d_name)), *entry);
    errno = 0;
  }
  if (errno != 0) visitor_.unreadable(path, errno);
  above_.pop_back();
}

void Walk::visit_entry(const std::string& path, const dirent& entry) {
  const std::string_view name = static_cast<const char*>(entry.d_name);
  if (name.starts_with('.')) return;
  const bool is_link = entry.d_type != DT_REG && entry.d_type != DT_DIR;
  bool is_directory = entry.d_type == DT_DIR;
  struct stat status {};
  if (is_link && ::stat(join_path(root_, path).c_str(), &status) == 0) {
    is_directory = S_ISDIR(status.st_mode);
  }
  if (is_directory) {
    enter(path);
  } else if (is_manifest_name(name)) {
    visitor_.file(path, is_link);
  }
}

}  // namespace

std::string join_path(const std::string& directory, const std::string& name) {
  if (directory.empty() || name.empty()) return directory + name;
  return directory + '/' + name;
}

void walk_manifests(const std::string& root, const std::string& path,
                    const ManifestVisitor& visitor) {
  Walk walk(root, visitor);
  walk.begin_at(path);
  walk.enter(path);
}

}  // namespace topolb::kube
