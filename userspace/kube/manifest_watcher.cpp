// SPDX-License-Identifier: Apache-2.0
#include "kube/manifest_watcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>

#include "kube/manifest_file.h"
#include "kube/manifest_walk.h"

namespace topolb::kube {
namespace {

constexpr std::uint32_t kEntryMask = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
constexpr std::uint32_t kWriteMask = IN_MODIFY | IN_CLOSE_WRITE;
constexpr std::uint32_t kSelfMask = IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;
constexpr std::string_view kConfigMapLink = "..data";

std::string_view last_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

bool is_at_or_below(std::string_view path, std::string_view directory) {
  return directory.empty() || path == directory ||
         (path.starts_with(directory) && path[directory.size()] == '/');
}

// Into a ConfigMap's current version: its files never change, the link `..data` does.
bool leads_into_config_map(const std::string& path) {
  std::array<char, kConfigMapLink.size() + 1> target{};
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  return size == static_cast<ssize_t>(target.size()) && target.back() == '/' &&
         std::string_view(target.data(), kConfigMapLink.size()) == kConfigMapLink;
}

}  // namespace

ManifestWatcher::ManifestWatcher(std::string root, UniqueFd inotify)
    : root_(std::move(root)), inotify_(std::move(inotify)) {
  while (root_.size() > 1 && root_.ends_with('/')) root_.pop_back();
  const std::size_t slash = root_.rfind('/');
  const std::string parent =
      slash == std::string::npos ? "." : root_.substr(0, std::max<std::size_t>(slash, 1));
  name_in_parent_ = last_name(root_);
  // Only helps to see the directory itself replaced, so a failure is none.
  parent_watch_ =
      ::inotify_add_watch(inotify_.get(), parent.c_str(), kEntryMask | IN_MASK_ADD | IN_ONLYDIR);
}

Result<ManifestWatcher> ManifestWatcher::open(std::string path) {
  const std::string what = fmt::format("watch directory {}", path);
  const UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return errno_error(errno, what);
  UniqueFd inotify(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify) return errno_error(errno, what);
  ManifestWatcher watcher(std::move(path), std::move(inotify));
  watcher.rewatch("");
  const auto failed = watcher.unwatched_.find("");
  if (failed != watcher.unwatched_.end()) return errno_error(failed->second, what);
  return watcher;
}

void ManifestWatcher::watch(const std::string& path, bool is_directory) {
  const int watch = ::inotify_add_watch(inotify_.get(), join_path(root_, path).c_str(),
                                        kEntryMask | kWriteMask | kSelfMask | IN_MASK_ADD);
  if (watch >= 0) {
    watch_of_path_[path] = watch;
    paths_of_watch_[watch].insert(path);
  } else if (is_directory && errno != ENOENT) {
    unwatched_[path] = errno;
  }
}

// Makes the watches at and below a path what they should be now. Whether it is or was watched. A
// watch that is still right is never taken away in between, so that no event gets lost.
bool ManifestWatcher::rewatch(const std::string& path) {
  std::set<int> old_watches;
  const auto first = watch_of_path_.lower_bound(path);
  for (auto entry = first; entry != watch_of_path_.end() && entry->first.starts_with(path);) {
    if (!is_at_or_below(entry->first, path)) {
      ++entry;
      continue;
    }
    old_watches.insert(entry->second);
    paths_of_watch_[entry->second].erase(entry->first);
    entry = watch_of_path_.erase(entry);
  }
  std::erase_if(unwatched_, [&](const auto& entry) { return is_at_or_below(entry.first, path); });
  const bool is_watched = watch_again(path);
  for (const int watch : old_watches) {
    if (!paths_of_watch_[watch].empty()) continue;
    paths_of_watch_.erase(watch);
    if (watch != parent_watch_) ::inotify_rm_watch(inotify_.get(), watch);
  }
  return is_watched || !old_watches.empty();
}

bool ManifestWatcher::watch_again(const std::string& path) {
  const auto watch_target = [&](const std::string& file, bool is_link) {
    if (is_link && !leads_into_config_map(join_path(root_, file))) watch(file, false);
  };
  struct stat status {};
  const std::string full_path = join_path(root_, path);
  if (::stat(full_path.c_str(), &status) != 0) return false;
  if (S_ISDIR(status.st_mode)) {
    walk_manifests(root_, path,
                   {.directory = [&](const std::string& directory) { watch(directory, true); },
                    .file = watch_target,
                    .unreadable = [](const std::string&, int) {}});
    return true;
  }
  if (!is_manifest_name(last_name(path)) || ::lstat(full_path.c_str(), &status) != 0) return false;
  watch_target(path, S_ISLNK(status.st_mode));
  return true;
}

ChangedPaths ManifestWatcher::drain() {
  bool everything = false;
  // New watches first, then the look: what comes after them is an event of its own.
  for (read_events(); changed_.everything; read_events()) {
    changed_.everything = false;
    everything = true;
    rewatch("");
  }
  settle_created();
  ChangedPaths changed = changed_;
  changed.everything = everything;
  changed_.paths.clear();
  return changed;
}

void ManifestWatcher::read_events() {
  alignas(inotify_event) std::array<char, 64 * 1024> buffer;
  while (true) {
    const ssize_t size = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return;
    for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + at, sizeof(event));
      // The name is padded with zeros.
      const char* const name = buffer.data() + at + sizeof(event);
      handle(event, {name, ::strnlen(name, event.len)});
      at += sizeof(event) + event.len;
    }
  }
}

void ManifestWatcher::handle(const inotify_event& event, std::string_view name) {
  if ((event.mask & IN_Q_OVERFLOW) != 0) {
    changed_.everything = true;
    changed_.unfinished.clear();  // whoever has closed a file meanwhile was not heard
    return;
  }
  if (event.wd == parent_watch_ && name == name_in_parent_ && (event.mask & kEntryMask) != 0) {
    changed_.everything = true;
  }
  const auto found = paths_of_watch_.find(event.wd);
  if (found == paths_of_watch_.end()) return;
  if ((event.mask & IN_IGNORED) != 0) {
    for (const std::string& path : found->second) watch_of_path_.erase(path);
    paths_of_watch_.erase(found);
    return;
  }
  const std::set<std::string> paths = found->second;  // handling changes the watches
  for (const std::string& path : paths) {
    if (name.empty()) {
      handle_self(path, event.mask);
    } else {
      handle_entry(path, std::string(name), event.mask);
    }
  }
}

// The watched directory, or the target of a link.
void ManifestWatcher::handle_self(const std::string& path, std::uint32_t mask) {
  if ((mask & kWriteMask) != 0) {
    handle_written(path, mask);
  } else if (path.empty()) {
    changed_.everything = true;
  } else {
    rewatch(path);
    changed_.paths.insert(path);
  }
}

void ManifestWatcher::handle_entry(const std::string& directory, const std::string& name,
                                   std::uint32_t mask) {
  const std::string path = join_path(directory, name);
  if (name.starts_with('.')) {
    if (name != kConfigMapLink || (mask & (IN_CREATE | IN_MOVED_TO)) == 0) return;
    if (directory.empty()) {
      changed_.everything = true;
    } else {
      rewatch(directory);
      changed_.paths.insert(directory);
    }
  } else if ((mask & kWriteMask) != 0) {
    handle_written(path, mask);
  } else if ((mask & IN_CREATE) != 0 && (mask & IN_ISDIR) == 0) {
    handle_created(path);
  } else {
    // A change of rights says nothing of whether the writer is done.
    if ((mask & IN_ATTRIB) == 0) {
      std::erase_if(changed_.unfinished,
                    [&](const std::string& file) { return is_at_or_below(file, path); });
      created_.erase(path);
    }
    if (rewatch(path) || is_manifest_name(name)) changed_.paths.insert(path);
  }
}

void ManifestWatcher::handle_written(const std::string& path, std::uint32_t mask) {
  if (!is_manifest_name(last_name(path))) return;
  created_.erase(path);
  if ((mask & IN_CLOSE_WRITE) != 0) {
    changed_.unfinished.erase(path);
    changed_.paths.insert(path);
  } else {
    changed_.unfinished.insert(path);
  }
}

void ManifestWatcher::handle_created(const std::string& path) {
  struct stat status {};
  if (::lstat(join_path(root_, path).c_str(), &status) != 0) return;
  if (S_ISREG(status.st_mode) && status.st_nlink == 1) {
    if (!is_manifest_name(last_name(path))) return;
    changed_.unfinished.insert(path);
    if (status.st_size > 0) created_.insert(path);
  } else if (rewatch(path) || is_manifest_name(last_name(path))) {
    changed_.paths.insert(path);
  }
}

// A file that appears with its content, and that nobody is seen to write, was written before it
// got its name (O_TMPFILE and linkat): no close will ever be told.
void ManifestWatcher::settle_created() {
  for (const std::string& path : created_) changed_.unfinished.erase(path);
  changed_.paths.merge(created_);
  created_.clear();
}

std::vector<core::Problem> ManifestWatcher::problems() const {
  std::vector<core::Problem> problems;
  for (const auto& [directory, errno_value] : unwatched_) {
    problems.push_back({"File", "", directory.empty() ? "." : directory, "Unwatched",
                        fmt::format("watch directory: {}; changes in it are not seen",
                                    std::generic_category().message(errno_value))});
  }
  return problems;
}

}  // namespace topolb::kube
