// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pins.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "dataplane/bpf_map.h"
#include "dataplane/socket_hooks.h"
#include "dataplane/tc_attach.h"
#include "dataplane/tc_programs.h"

namespace topolb::dataplane {
namespace {

namespace fs = std::filesystem;
constexpr const char* kDefaultBpffs = "/sys/fs/bpf";
constexpr int kLockAttempts = 10;
constexpr std::chrono::milliseconds kLockRetryDelay{20};

bool is_bpffs(const std::string& path) {
  struct statfs facts {};
  return ::statfs(path.c_str(), &facts) == 0 &&
         static_cast<unsigned long>(facts.f_type) == BPF_FS_MAGIC;
}

Result<void> make_directories(const std::string& pin_path) {
  const bool below_default = pin_path.rfind(std::string(kDefaultBpffs) + "/", 0) == 0;
  if (below_default && !is_bpffs(kDefaultBpffs) &&
      ::mount("bpf", kDefaultBpffs, "bpf", 0, "mode=0700") != 0) {
    return errno_error(errno, fmt::format("mount a bpffs at {}", kDefaultBpffs));
  }
  std::error_code failed;
  fs::create_directories(pin_path, failed);
  if (failed) return Error{failed, "make directory " + pin_path};
  if (!is_bpffs(pin_path)) {
    return Error{{},
                 fmt::format("--pin-path {} is not on a bpffs (mount -t bpf bpf {})", pin_path,
                             kDefaultBpffs)};
  }
  return {};
}

// The path below the cgroup2 mount whose inode is the cgroup's id; "" if it is not found.
std::string cgroup_path_of(std::uint64_t id) {
  const auto root = find_cgroup2();
  if (!root) return {};
  struct stat facts {};
  if (::stat(root->c_str(), &facts) == 0 && facts.st_ino == id) return *root;
  std::error_code failed;
  fs::recursive_directory_iterator at(*root, failed);
  for (; !failed && at != fs::recursive_directory_iterator(); at.increment(failed)) {
    if (::stat(at->path().c_str(), &facts) == 0 && S_ISDIR(facts.st_mode) && facts.st_ino == id) {
      return at->path();
    }
  }
  return {};
}

}  // namespace

std::vector<Hook> read_hooks(const std::string& pin_path) {
  std::vector<Hook> hooks;
  std::uint64_t known_id = 0;
  std::string known_path;
  for (const auto& socket_hook : kSocketHooks) {
    Hook hook{.name = socket_hook.name};
    const auto link = open_pinned(link_path(pin_path, socket_hook.name));
    bpf_link_info info{};
    std::uint32_t length = sizeof(info);
    if (link && bpf_obj_get_info_by_fd(link->get(), &info, &length) == 0) {
      // A link whose cgroup has been removed stays pinned, detached, with cgroup id 0.
      hook.attached = info.cgroup.cgroup_id != 0;
      hook.program_id = info.prog_id;
      if (info.cgroup.cgroup_id != known_id) {
        known_id = info.cgroup.cgroup_id;
        known_path = cgroup_path_of(known_id);
      }
      hook.where = known_path.empty() ? fmt::format("cgroup id {}", known_id)
                                      : fmt::format("cgroup {}", known_path);
    }
    hooks.push_back(std::move(hook));
  }
  const auto tc_hooks = read_tc_hooks(pin_path);
  if (!tc_hooks.empty() && !TcPrograms::has_workers(pin_path)) {
    // Without an agent that holds the table, packets of Services pass as they come.
    hooks.push_back({.name = "tc-workers"});
  }
  for (const auto& hook : tc_hooks) {
    hooks.push_back({.name = fmt::format("tc-{}", to_string(hook.direction)),
                     .attached = true,
                     .program_id = hook.program_id,
                     .where = fmt::format("device {}{}", hook.device.name,
                                          hook.method == TcMethod::Filter ? " (filter)" : "")});
  }
  return hooks;
}

Result<UniqueFd> claim_pin_path(const std::string& pin_path) {
  if (auto made = make_directories(pin_path); !made) return made.error();
  UniqueFd directory(::open(pin_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return errno_error(errno, "open pin path " + pin_path);
  // is_claimed() of somebody else holds the lock for an instant; an agent holds it for good.
  bool locked = false;
  for (int attempt = 0; attempt < kLockAttempts && !locked; ++attempt) {
    if (attempt > 0) std::this_thread::sleep_for(kLockRetryDelay);
    locked = ::flock(directory.get(), LOCK_EX | LOCK_NB) == 0;
    if (!locked && errno != EWOULDBLOCK) break;
  }
  if (!locked) {
    if (errno == EWOULDBLOCK) {
      return Error{{}, fmt::format("another topolbd runs on pin path {}", pin_path)};
    }
    return errno_error(errno, "lock pin path " + pin_path);
  }
  return directory;
}

bool is_claimed(const std::string& pin_path) {
  const UniqueFd directory(::open(pin_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return directory && ::flock(directory.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

Result<std::vector<std::string>> remove_pins(const std::string& pin_path) {
  std::vector<std::string> removed;
  if (::access(pin_path.c_str(), F_OK) != 0) {
    if (errno == ENOENT) return removed;
    return errno_error(errno, "open pin path " + pin_path);
  }
  if (!is_bpffs(pin_path)) {
    return Error{{}, fmt::format("--pin-path {} is not on a bpffs", pin_path)};
  }
  const auto claim = claim_pin_path(pin_path);
  if (!claim) return claim.error();
  // What is attached first: from then on nothing uses the maps.
  for (const auto& hook : read_tc_hooks(pin_path)) {
    if (hook.method == TcMethod::Link) continue;  // goes with its pin
    if (auto off = detach_tc(pin_path, hook.device, hook.direction); !off) return off.error();
    removed.push_back(fmt::format("filter tc-{}-{}", to_string(hook.direction), hook.device.name));
  }
  for (const auto& directory : std::array{pin_path + "/links", pin_path}) {
    std::error_code failed;
    std::vector<fs::path> pins;
    for (const auto& entry : fs::directory_iterator(directory, failed)) {
      if (!entry.is_directory()) pins.push_back(entry.path());
    }
    std::sort(pins.begin(), pins.end());
    for (const auto& pin : pins) {
      // The kernel frees a link some time after its last reference is gone; detached it is at once.
      if (const auto link = open_pinned(pin); link && directory != pin_path) {
        (void)bpf_link_detach(link->get());
      }
      if (!fs::remove(pin, failed)) return Error{failed, "remove " + pin.string()};
      removed.push_back(fs::relative(pin, pin_path));
    }
    if (!fs::remove(directory, failed) && failed) return Error{failed, "remove " + directory};
  }
  return removed;
}

Result<std::string> find_cgroup2() {
  std::ifstream mounts("/proc/self/mounts");
  std::string line;
  while (std::getline(mounts, line)) {
    std::istringstream fields(line);
    std::string device;
    std::string path;
    std::string type;
    fields >> device >> path >> type;
    if (type == "cgroup2") return path;
  }
  return Error{{},
               "no cgroup2 is mounted (mount -t cgroup2 none /sys/fs/cgroup, or give --cgroup)"};
}

}  // namespace topolb::dataplane
