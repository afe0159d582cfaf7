// SPDX-License-Identifier: Apache-2.0
#include "kube/manifest_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <system_error>
#include <utility>

#include "kube/decode_fields.h"
#include "kube/manifest_file.h"
#include "kube/manifest_walk.h"
#include "util/unique_fd.h"

namespace topolb::kube {
namespace {

constexpr off_t kMaxFileBytes = off_t{256} << 20;
// Two writes within one tick of the kernel's clock leave the same times behind: a file that has
// just changed is read again at the next look.
constexpr std::int64_t kSettledNanoseconds = 100'000'000;

std::string words_of(int errno_value) { return std::generic_category().message(errno_value); }

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

FileStamp stamp_of(const struct stat& status) {
  return {status.st_dev, status.st_ino, status.st_size, nanoseconds(status.st_mtim),
          nanoseconds(status.st_ctim)};
}

bool is_settled(const struct stat& status) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const auto last = std::max(nanoseconds(status.st_mtim), nanoseconds(status.st_ctim));
  return nanoseconds(now) - last > kSettledNanoseconds;
}

// Empty on success, else why.
std::string read_all(int fd, off_t size_hint, std::string& text) {
  if (size_hint > kMaxFileBytes) return fmt::format("larger than {} MiB", kMaxFileBytes >> 20);
  text.resize(static_cast<std::size_t>(size_hint) + 1);
  std::size_t used = 0;
  while (true) {
    const ssize_t count = ::read(fd, text.data() + used, text.size() - used);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return words_of(errno);
    if (count == 0) break;
    used += static_cast<std::size_t>(count);
    if (used > static_cast<std::size_t>(kMaxFileBytes)) return "it grows while it is read";
    if (used == text.size()) text.resize(2 * used);
  }
  text.resize(used);
  return "";
}

// No component is hidden, so a walk from the root would come here.
bool is_visible(const std::string& path) {
  return !path.starts_with('.') && path.find("/.") == std::string::npos;
}

bool is_below(const std::string& path, const std::string& directory) {
  return directory.empty() || (path.size() > directory.size() && path[directory.size()] == '/' &&
                               path.starts_with(directory));
}

std::string shown(const std::string& path) { return is_one_line(path) ? path : quote(path); }

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

Result<ManifestDirectory> ManifestDirectory::open(std::string path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return errno_error(errno, fmt::format("read directory {}", path));
  return ManifestDirectory(std::move(path));
}

ManifestChanges ManifestDirectory::scan() {
  look_below("", {});
  return changes();
}

ManifestChanges ManifestDirectory::scan(const ChangedPaths& changed) {
  struct stat status {};
  // With the directory itself gone, a missing file means nothing.
  const bool root_is_there = ::stat(root_.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
  if (changed.everything || !root_is_there || unreadable_.contains("")) {
    look_below("", changed.unfinished);
    return changes();
  }
  for (const std::string& path : changed.paths) {
    if (!is_visible(path) || changed.unfinished.contains(path)) continue;
    if (::stat(join_path(root_, path).c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
      forget(path);
      look_below(path, changed.unfinished);
    } else {
      forget_below(path, {}, {});
      if (is_manifest_name(file_name(path))) read(path, true);
    }
  }
  return changes();
}

// Brings the files below a directory up to date.
void ManifestDirectory::look_below(const std::string& path,
                                   const std::set<std::string>& unfinished) {
  std::set<std::string> found;
  std::map<std::string, std::string> unreadable;
  walk_manifests(root_, path,
                 {.directory = [](const std::string&) {},
                  .file = [&](const std::string& file, bool) { found.insert(file); },
                  .unreadable =
                      [&](const std::string& directory, int errno_value) {
                        if (errno_value == ENOENT && !directory.empty()) return;  // just removed
                        unreadable[directory] = words_of(errno_value);
                      }});
  forget_below(path, found, unreadable);
  unreadable_.merge(unreadable);
  for (const std::string& file : found) {
    if (!unfinished.contains(file)) read(file, false);
  }
}

// What is below a directory that cannot be read is unknown, not gone.
void ManifestDirectory::forget_below(const std::string& path, const std::set<std::string>& found,
                                     const std::map<std::string, std::string>& unreadable) {
  std::vector<std::string> gone;
  for (auto file = files_.lower_bound(path.empty() ? "" : path + '/');
       file != files_.end() && is_below(file->first, path); ++file) {
    const bool is_unknown =
        std::any_of(unreadable.begin(), unreadable.end(),
                    [&](const auto& directory) { return is_below(file->first, directory.first); });
    if (!is_unknown && !found.contains(file->first)) gone.push_back(file->first);
  }
  for (const std::string& file : gone) forget(file);
  std::erase_if(unreadable_, [&](const auto& directory) {
    return directory.first == path || is_below(directory.first, path);
  });
}

void ManifestDirectory::forget(const std::string& path) {
  files_.erase(path);
  troubled_.erase(path);
  objects_.set_file(path, {});
}

void ManifestDirectory::read(const std::string& path, bool force) {
  struct stat status {};
  const std::string full_path = join_path(root_, path);
  // Not to wait where somebody has put a FIFO.
  const UniqueFd fd(::open(full_path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  const int open_errno = fd ? 0 : errno;
  if (!fd && ::lstat(full_path.c_str(), &status) != 0) return forget(path);
  File& file = files_[path];
  if (fd && ::fstat(fd.get(), &status) != 0) {
    file.unread = words_of(errno);
  } else if (!fd || !S_ISREG(status.st_mode)) {
    file.unread = fd ? "no regular file" : words_of(open_errno);
  } else if (!is_one_line(path)) {
    file.unread = "a name that is no UTF-8, or has control characters";
  } else {
    const FileStamp stamp = stamp_of(status);
    if (!force && file.stamp == stamp) return;
    std::string text;
    const std::string failure = read_all(fd.get(), status.st_size, text);
    file.stamp = is_settled(status) ? std::optional(stamp) : std::nullopt;
    file.unread = failure.empty() ? std::nullopt : std::optional(failure);
    if (failure.empty()) parse(path, file, text);
  }
  if (file.unread) file.stamp.reset();
  if (file.unread || file.unparsed || !file.problems.empty()) {
    troubled_.insert(path);
  } else {
    troubled_.erase(path);
  }
}

void ManifestDirectory::parse(const std::string& path, File& file, const std::string& text) {
  const std::size_t content = std::hash<std::string>{}(text);
  if (file.content == content) return;
  file.content = content;
  auto manifest = decode_manifest(path, text);
  if (!manifest) {
    file.unparsed = manifest.error().message();
    return;
  }
  file.unparsed.reset();
  file.problems = std::move(manifest->problems);
  objects_.set_file(path, std::move(manifest->objects));
}

ManifestChanges ManifestDirectory::changes() {
  ManifestObjects::Changes changes = objects_.take_changes();
  return {std::move(changes.put), std::move(changes.removed), problems()};
}

std::vector<core::Problem> ManifestDirectory::problems() const {
  std::vector<core::Problem> problems = objects_.duplicates();
  for (const auto& [directory, why] : unreadable_) {
    problems.push_back({"File", "", directory.empty() ? "." : shown(directory), "Unreadable",
                        fmt::format("read directory: {}; what was last read stays", why)});
  }
  for (const std::string& path : troubled_) {
    const File& file = files_.at(path);
    const char* const stays = objects_.holds(path) ? "; what it last held stays" : "";
    if (file.unread) {
      problems.push_back({"File", "", shown(path), "Unreadable",
                          fmt::format("read file: {}{}", *file.unread, stays)});
    }
    if (file.unparsed) {
      problems.push_back({"File", "", shown(path), "InvalidManifest", *file.unparsed + stays});
    }
    problems.insert(problems.end(), file.problems.begin(), file.problems.end());
  }
  std::sort(problems.begin(), problems.end());
  return problems;
}

}  // namespace topolb::kube
