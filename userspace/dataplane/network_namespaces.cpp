// SPDX-License-Identifier: Apache-2.0
#include "dataplane/network_namespaces.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cctype>
#include <filesystem>
#include <set>
#include <string>
#include <utility>

#include "util/unique_fd.h"

namespace topolb::dataplane {
namespace {

namespace fs = std::filesystem;

// Numbers of namespaces are used again, but who comes during the walk need not be visited.
class Walk {
 public:
  explicit Walk(const std::function<bool(int)>& visit) : visit_(visit) {}

  bool look_at(const std::string& path) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0) return true;  // ended meanwhile, or not ours to see
    if (!seen_.insert({facts.st_dev, facts.st_ino}).second) return true;
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct statfs file_system {};
    // A name whose namespace has been taken off it is an empty file.
    const bool is_namespace = fd && ::fstatfs(fd.get(), &file_system) == 0 &&
                              static_cast<unsigned long>(file_system.f_type) == NSFS_MAGIC;
    return !is_namespace || visit_(fd.get());
  }

 private:
  const std::function<bool(int)>& visit_;
  std::set<std::pair<dev_t, ino_t>> seen_;
};

// False: `visit` has said so.
template <typename Visit>
bool for_each_entry(const std::string& directory, const Visit& visit) {
  std::error_code failed;
  fs::directory_iterator at(directory, failed);
  for (; !failed && at != fs::directory_iterator(); at.increment(failed)) {
    if (!visit(at->path())) return false;
  }
  return true;
}

}  // namespace

void for_each_network_namespace(const std::function<bool(int fd)>& visit) {
  Walk walk(visit);
  const auto of_name = [&](const fs::path& path) { return walk.look_at(path); };
  const auto of_process = [&](const fs::path& path) {
    const bool is_process =
        std::isdigit(static_cast<unsigned char>(path.filename().native().front())) != 0;
    return !is_process || walk.look_at(path / "ns/net");
  };
  if (for_each_entry("/run/netns", of_name)) for_each_entry("/proc", of_process);
}

}  // namespace topolb::dataplane
