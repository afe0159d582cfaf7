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

namespace topolb::dataplane {
namespace {

namespace fs = std::filesystem;

class Found {
 public:
  void add(const std::string& path) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0) return;  // ended meanwhile, or not ours to see
    if (!seen_.insert({facts.st_dev, facts.st_ino}).second) return;
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct statfs file_system {};
    // A name whose namespace has been taken off it is an empty file.
    if (fd && ::fstatfs(fd.get(), &file_system) == 0 &&
        static_cast<unsigned long>(file_system.f_type) == NSFS_MAGIC) {
      namespaces_.push_back(std::move(fd));
    }
  }
  std::vector<UniqueFd> take() { return std::move(namespaces_); }

 private:
  std::set<std::pair<dev_t, ino_t>> seen_;
  std::vector<UniqueFd> namespaces_;
};

template <typename Visit>
void for_each_entry(const std::string& directory, const Visit& visit) {
  std::error_code failed;
  fs::directory_iterator at(directory, failed);
  for (; !failed && at != fs::directory_iterator(); at.increment(failed)) visit(at->path());
}

}  // namespace

std::vector<UniqueFd> find_network_namespaces() {
  Found found;
  for_each_entry("/run/netns", [&](const fs::path& path) { found.add(path); });
  for_each_entry("/proc", [&](const fs::path& path) {
    if (std::isdigit(static_cast<unsigned char>(path.filename().native().front())) != 0) {
      found.add(path / "ns/net");
    }
  });
  return found.take();
}

}  // namespace topolb::dataplane
