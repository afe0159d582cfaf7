// SPDX-License-Identifier: Apache-2.0
#include "dataplane/tc_attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <memory>
#include <tuple>

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

// Every program of the path uses it, and no other does: by it they are known as those of a pin
// path.
constexpr const char* kOwnMap = "packet_events";

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

/// Indices of the devices that have a pinned link; sorted.
std::vector<std::uint32_t> pinned_links(const std::string& pin_path, TcDirection direction) {
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

/// Whether a program uses the map; any program does not use map 0.
bool uses_map(std::uint32_t program_id, std::uint32_t map_id) {
  const UniqueFd program(bpf_prog_get_fd_by_id(program_id));
  if (!program) return false;
  std::array<std::uint32_t, 64> map_ids{};
  bpf_prog_info info{};
  info.nr_map_ids = map_ids.size();
  info.map_ids = reinterpret_cast<std::uintptr_t>(map_ids.data());
  std::uint32_t length = sizeof(info);
  if (bpf_obj_get_info_by_fd(program.get(), &info, &length) != 0) return false;
  const auto* end = map_ids.data() + std::min<std::size_t>(info.nr_map_ids, map_ids.size());
  return std::find(static_cast<const std::uint32_t*>(map_ids.data()), end, map_id) != end;
}

std::uint32_t id_of_pinned_map(const std::string& pin_path, const std::string& name) {
  const auto fd = open_pinned(pin_of_map(pin_path, name));
  if (!fd) return 0;
  const auto info = map_info(fd->get(), name);
  return info ? info->id : 0;
}

void add_links(const std::string& pin_path, TcDirection direction, std::vector<TcHook>& hooks) {
  for (const auto index : pinned_links(pin_path, direction)) {
    const auto link = open_pinned(pin_of(pin_path, {index, ""}, direction));
    bpf_link_info info{};
    std::uint32_t length = sizeof(info);
    if (!link || bpf_obj_get_info_by_fd(link->get(), &info, &length) != 0) continue;
    if (info.xdp.ifindex != index) continue;
    std::array<char, IF_NAMESIZE> name{};
    (void)::if_indextoname(index, name.data());
    hooks.push_back({{index, name.data()}, direction, TcMethod::Link, info.prog_id});
  }
}

void add_filters(std::uint32_t map_id, std::vector<TcHook>& hooks) {
  using Names = struct if_nameindex;  // there is a function of this name, too
  const std::unique_ptr<Names, void (*)(Names*)> names(::if_nameindex(), ::if_freenameindex);
  if (!names) return;
  silence_libbpf();
  for (const auto* at = names.get(); at->if_index != 0; ++at) {
    const TcDevice device{at->if_index, at->if_name};
    for (const auto direction : {TcDirection::Ingress, TcDirection::Egress}) {
      const bpf_tc_hook hook = hook_of(device, direction);
      bpf_tc_opts options = filter_options();
      if (bpf_tc_query(&hook, &options) != 0 || !uses_map(options.prog_id, map_id)) continue;
      hooks.push_back({device, direction, TcMethod::Filter, options.prog_id});
    }
  }
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

std::size_t drop_dead_tc_links(const std::string& pin_path) {
  std::size_t dropped = 0;
  for (const auto direction : {TcDirection::Ingress, TcDirection::Egress}) {
    for (const auto index : pinned_links(pin_path, direction)) {
      const std::string path = pin_of(pin_path, {index, ""}, direction);
      const auto link = open_pinned(path);
      if (link && device_of(link->get()) == index) continue;
      if (::unlink(path.c_str()) == 0) ++dropped;
    }
  }
  return dropped;
}

std::vector<TcHook> read_tc_hooks(const std::string& pin_path) {
  std::vector<TcHook> hooks;
  for (const auto direction : {TcDirection::Ingress, TcDirection::Egress}) {
    add_links(pin_path, direction, hooks);
  }
  if (const auto map_id = id_of_pinned_map(pin_path, kOwnMap); map_id != 0) {
    add_filters(map_id, hooks);
  }
  std::sort(hooks.begin(), hooks.end(), [](const TcHook& a, const TcHook& b) {
    return std::tie(a.device, a.direction) < std::tie(b.device, b.direction);
  });
  return hooks;
}

}  // namespace topolb::dataplane
