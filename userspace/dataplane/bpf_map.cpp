// SPDX-License-Identifier: Apache-2.0
#include "dataplane/bpf_map.h"

#include <bpf/libbpf.h>

#include <cstdio>

namespace topolb::dataplane {

Result<bpf_map_info> map_info(int fd, const std::string& name) {
  bpf_map_info info{};
  std::uint32_t length = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0) {
    return errno_error(errno, "read the kernel's facts of map " + name);
  }
  return info;
}

Result<UniqueFd> open_pinned(const std::string& path) {
  UniqueFd fd(bpf_obj_get(path.c_str()));
  if (!fd) return errno_error(errno, "open pinned " + path);
  return fd;
}

std::string pin_of_map(const std::string& pin_path, const std::string& name) {
  return fmt::format("{}/{}", pin_path, name);
}

Result<void> reuse_map(bpf_object* object, const std::string& name, int fd) {
  bpf_map* map = bpf_object__find_map_by_name(object, name.c_str());
  if (const int failed = bpf_map__reuse_fd(map, fd); failed != 0) {
    return errno_error(-failed, "share map " + name);
  }
  return {};
}

Result<void> pin_map(int fd, const std::string& path) {
  const auto pinned = open_pinned(path);
  const auto there = pinned ? map_info(pinned->get(), path) : pinned.error();
  const auto ours = map_info(fd, path);
  if (!ours) return ours.error();
  if (there && there->id == ours->id) return {};
  const std::string beside = path + "-new";
  (void)::unlink(beside.c_str());  // of an agent that was killed
  if (bpf_obj_pin(fd, beside.c_str()) != 0) return errno_error(errno, "pin " + beside);
  if (::rename(beside.c_str(), path.c_str()) != 0) return errno_error(errno, "pin " + path);
  return {};
}

void silence_libbpf() {
  libbpf_set_print([](enum libbpf_print_level, const char*, va_list) { return 0; });
}

Result<void> check_sizes(const bpf_map_info& info, const std::string& name, std::size_t key_size,
                         std::size_t value_size) {
  if (info.key_size == key_size && info.value_size == value_size) return {};
  return make_error(fmt::format("map {} has keys of {} and values of {} bytes, not {} and {}: {}",
                                name, info.key_size, info.value_size, key_size, value_size,
                                "it was made by another version of topolb"));
}

}  // namespace topolb::dataplane
