// SPDX-License-Identifier: Apache-2.0
#include "dataplane/bpf_map.h"

#include <bpf/libbpf.h>

#include <algorithm>
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

namespace {

// The maps are pinned beside those that are there, in the order of their names, and then put in
// their places in the same order: as long as the last one stands beside, all of them are whole.
std::string pin_beside(const std::string& pin_path, const std::string& name) {
  return pin_of_map(pin_path, name) + "-new";
}

bool are_whole_beside(const std::string& pin_path, const std::vector<std::string>& names) {
  return ::access(pin_beside(pin_path, names.back()).c_str(), F_OK) == 0;
}

void drop_pins_beside(const std::string& pin_path, const std::vector<std::string>& names) {
  const auto drop = [&](const auto& name) { (void)::unlink(pin_beside(pin_path, name).c_str()); };
  std::for_each(names.rbegin(), names.rend(), drop);
}

Result<void> put_pins_in_place(const std::string& pin_path, const std::vector<std::string>& names) {
  for (const auto& name : names) {
    const auto path = pin_of_map(pin_path, name);
    if (::rename(pin_beside(pin_path, name).c_str(), path.c_str()) != 0 && errno != ENOENT) {
      return errno_error(errno, "pin " + path);
    }
  }
  return {};
}

bool is_same_map(int fd, const Result<UniqueFd>& other) {
  const auto facts = map_info(fd, "");
  const auto others = other ? map_info(other->get(), "") : other.error();
  return facts && others && facts->id == others->id;
}

// The pin that counts of one of the maps of these names.
Result<UniqueFd> open_pin(const std::string& pin_path, const std::vector<std::string>& names,
                          const std::string& name) {
  if (are_whole_beside(pin_path, names)) {
    if (auto beside = open_pinned(pin_beside(pin_path, name)); beside) return beside;
  }
  return open_pinned(pin_of_map(pin_path, name));
}

}  // namespace

Result<void> pin_maps(const std::string& pin_path, const std::vector<std::string>& names,
                      const std::function<int(const std::string&)>& fd_of) {
  const bool are_there = std::all_of(names.begin(), names.end(), [&](const auto& name) {
    return is_same_map(fd_of(name), open_pinned(pin_of_map(pin_path, name)));
  });
  if (are_there) return {};
  drop_pins_beside(pin_path, names);
  for (const auto& name : names) {
    const auto beside = pin_beside(pin_path, name);
    if (bpf_obj_pin(fd_of(name), beside.c_str()) == 0) continue;
    const int failed = errno;
    drop_pins_beside(pin_path, names);
    return errno_error(failed, "pin " + beside);
  }
  return put_pins_in_place(pin_path, names);
}

Result<void> finish_pins(const std::string& pin_path, const std::vector<std::string>& names) {
  if (are_whole_beside(pin_path, names)) return put_pins_in_place(pin_path, names);
  drop_pins_beside(pin_path, names);
  return {};
}

Result<std::map<std::string, UniqueFd>> open_pins(const std::string& pin_path,
                                                  const std::vector<std::string>& names) {
  // All maps are replaced at one moment, when the last one stands beside: whoever still counts
  // after all are open has counted all the time.
  for (;;) {
    std::map<std::string, UniqueFd> pins;
    for (const auto& name : names) {
      auto fd = open_pin(pin_path, names, name);
      if (!fd) return fd.error();
      pins[name] = std::move(*fd);
    }
    const bool still_count = std::ranges::all_of(pins, [&](const auto& pin) {
      return is_same_map(pin.second.get(), open_pin(pin_path, names, pin.first));
    });
    if (still_count) return pins;
  }
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
