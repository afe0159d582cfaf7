// SPDX-License-Identifier: Apache-2.0
#include "dataplane/tc_attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "dataplane/bpf_map.h"
#include "dataplane/socket_hooks.h"

namespace topolb::dataplane {
namespace {

namespace fs = std::filesystem;

// linux/bpf.h of Linux 6.6; Debian 12's is older.
constexpr int kTcxIngress = 46;
constexpr int kTcxEgress = 47;

// Where our filter stands among those of others: it is found again by these two.
constexpr std::uint32_t kFilterPriority = 29808;
constexpr std::uint32_t kFilterHandle = 1;

bpf_attach_type attach_type(TcDirection direction) {
  return static_cast<bpf_attach_type>(direction == TcDirection::Ingress ? kTcxIngress : kTcxEgress);
}

std::string link_prefix(TcDirection direction) {
  return fmt::format("tc-{}-", to_string(direction));
}

std::string pin_of(const std::string& pin_path, const TcDevice& device, TcDirection direction) {
  return link_path(pin_path, link_prefix(direction) + std::to_string(device.index));
}

std::string place(const TcDevice& device, TcDirection direction) {
  return fmt::format("{} of device {}", to_string(direction), device.name);
}

/// The device of a tcx link; 0 when it is gone.
std::uint32_t device_of(int link) {
  bpf_link_info info{};
  std::uint32_t length = sizeof(info);
  if (bpf_obj_get_info_by_fd(link, &info, &length) != 0) return 0;
  return info.xdp.ifindex;  // at the same place in a tcx link's part
}

bpf_tc_hook hook_of(const TcDevice& device, TcDirection direction) {
  bpf_tc_hook hook{};
  hook.sz = sizeof(hook);
  hook.ifindex = static_cast<int>(device.index);
  hook.attach_point = direction == TcDirection::Ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
  return hook;
}

bpf_tc_opts filter_options() {
  bpf_tc_opts options{};
  options.sz = sizeof(options);
  options.handle = kFilterHandle;
  options.priority = kFilterPriority;
  return options;
}

}  // namespace

std::string_view to_string(TcDirection direction) {
  return direction == TcDirection::Ingress ? "ingress" : "egress";
}

Result<TcMethod> attach_tc(const std::string& pin_path, const TcDevice& device,
                           TcDirection direction, int program) {
  const std::string path = pin_of(pin_path, device, direction);
  if (const auto old = open_pinned(path); old) {
    if (device_of(old->get()) == device.index &&
        bpf_link_update(old->get(), program, nullptr) == 0) {
      return TcMethod::Link;
    }
    if (::unlink(path.c_str()) != 0) return errno_error(errno, "unpin " + path);
  }
  const std::string links = fs::path(path).parent_path();
  if (::mkdir(links.c_str(), 0700) != 0 && errno != EEXIST) {
    return errno_error(errno, "make directory " + links);
  }
  const UniqueFd link(
      bpf_link_create(program, static_cast<int>(device.index), attach_type(direction), nullptr));
  if (!link) {
    const int failed = errno;
    if (failed != EINVAL) return errno_error(failed, "attach to " + place(device, direction));
    if (auto attached = attach_tc_filter(device, direction, program); !attached) {
      return attached.error();
    }
    return TcMethod::Filter;
  }
  if (bpf_obj_pin(link.get(), path.c_str()) != 0) return errno_error(errno, "pin " + path);
  return TcMethod::Link;
}

Result<void> attach_tc_filter(const TcDevice& device, TcDirection direction, int program) {
  silence_libbpf();  // that clsact is there already is no news
  bpf_tc_hook hook = hook_of(device, direction);
  if (const int failed = bpf_tc_hook_create(&hook); failed != 0 && failed != -EEXIST) {
    return errno_error(-failed, "make clsact on device " + device.name);
  }
  bpf_tc_opts options = filter_options();
  options.prog_fd = program;
  options.flags = BPF_TC_F_REPLACE;
  if (const int failed = bpf_tc_attach(&hook, &options); failed != 0) {
    return errno_error(-failed, "attach a filter to " + place(device, direction));
  }
  return {};
}

Result<void> detach_tc(const std::string& pin_path, const TcDevice& device, TcDirection direction) {
  const std::string path = pin_of(pin_path, device, direction);
  if (const auto link = open_pinned(path); link) {
    // Unpinned alone, the link would live on for as long as somebody else holds it.
    (void)bpf_link_detach(link->get());
    if (::unlink(path.c_str()) != 0) return errno_error(errno, "unpin " + path);
    return {};
  }
  silence_libbpf();
  const bpf_tc_hook hook = hook_of(device, direction);
  const bpf_tc_opts options = filter_options();
  const int failed = bpf_tc_detach(&hook, &options);
  if (failed == 0 || failed == -ENOENT || failed == -ENODEV || failed == -EINVAL) return {};
  return errno_error(-failed, "detach from " + place(device, direction));
}

std::vector<std::uint32_t> attached_tc_links(const std::string& pin_path, TcDirection direction) {
  std::vector<std::uint32_t> indices;
  const std::string prefix = link_prefix(direction);
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(link_path(pin_path, ""), failed)) {
    const std::string name = entry.path().filename();
    std::uint32_t index = 0;
    if (name.rfind(prefix, 0) != 0) continue;
    std::from_chars(name.data() + prefix.size(), name.data() + name.size(), index);
    if (index != 0) indices.push_back(index);
  }
  std::sort(indices.begin(), indices.end());
  return indices;
}

std::size_t drop_dead_tc_links(const std::string& pin_path) {
  std::size_t dropped = 0;
  for (const auto direction : {TcDirection::Ingress, TcDirection::Egress}) {
    for (const auto index : attached_tc_links(pin_path, direction)) {
      const std::string path = pin_of(pin_path, {index, ""}, direction);
      const auto link = open_pinned(path);
      if (link && device_of(link->get()) == index) continue;
      if (::unlink(path.c_str()) == 0) ++dropped;
    }
  }
  return dropped;
}

}  // namespace topolb::dataplane
