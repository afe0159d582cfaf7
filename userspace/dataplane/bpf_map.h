// SPDX-License-Identifier: Apache-2.0
// Typed views of BPF maps. All sizes are checked once, when a view is made; a view owns its file
// descriptor (and mapping), never a pin. Not thread-safe beyond what the kernel guarantees.
#pragma once

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "util/result.h"
#include "util/unique_fd.h"

struct bpf_object;

namespace topolb::dataplane {

/// Kernel facts of an open map. Error: the descriptor is no map.
Result<bpf_map_info> map_info(int fd, const std::string& name);
/// Opens a pinned map. Error names the path (not there, no right, not a map).
Result<UniqueFd> open_pinned(const std::string& path);
/// PIN_PATH/NAME.
std::string pin_of_map(const std::string& pin_path, const std::string& name);
/// Makes a map of an object that is not loaded yet be the one of this descriptor.
Result<void> reuse_map(bpf_object* object, const std::string& name, int fd);
/// Pins the maps of these names, which are read together, in place of those that are pinned there.
/// When this process is killed meanwhile, finish_pins() makes it all or none. An error before the
/// first is in its place leaves those that were there.
Result<void> pin_maps(const std::string& pin_path, const std::vector<std::string>& names,
                      const std::function<int(const std::string&)>& fd_of);
/// Ends what a process before left of pin_maps() with the same names.
Result<void> finish_pins(const std::string& pin_path, const std::vector<std::string>& names);
/// Opens them for who reads, while another process is in the middle of pin_maps() or was killed
/// there: all those before, or all those that take their place. By name. Error: as open_pinned().
Result<std::map<std::string, UniqueFd>> open_pins(const std::string& pin_path,
                                                  const std::vector<std::string>& names);
/// Keeps libbpf's own many lines off stderr: every failure is one line of ours.
void silence_libbpf();
/// Error if the map's key or value is of another size.
Result<void> check_sizes(const bpf_map_info& info, const std::string& name, std::size_t key_size,
                         std::size_t value_size);

/// A hash map. Keys and values are copied; lookups of a missing key are none, not an error.
template <typename Key, typename Value>
class HashMap {
 public:
  static Result<HashMap> from_fd(UniqueFd fd, std::string name) {
    auto info = map_info(fd.get(), name);
    if (!info) return info.error();
    if (auto checked = check_sizes(*info, name, sizeof(Key), sizeof(Value)); !checked) {
      return checked.error();
    }
    HashMap map;
    map.fd_ = std::move(fd);
    map.name_ = std::move(name);
    map.capacity_ = info->max_entries;
    return map;
  }

  [[nodiscard]] std::uint32_t capacity() const { return capacity_; }
  [[nodiscard]] int fd() const { return fd_.get(); }

  [[nodiscard]] std::optional<Value> get(const Key& key) const {
    Value value{};
    if (bpf_map_lookup_elem(fd_.get(), &key, &value) != 0) return std::nullopt;
    return value;
  }

  Result<void> put(const Key& key, const Value& value) {
    if (bpf_map_update_elem(fd_.get(), &key, &value, BPF_ANY) != 0) {
      return errno_error(errno, fmt::format("update map {}", name_));
    }
    return {};
  }

  /// A key that is not there is no error.
  Result<void> erase(const Key& key) {
    if (bpf_map_delete_elem(fd_.get(), &key) != 0 && errno != ENOENT) {
      return errno_error(errno, fmt::format("delete from map {}", name_));
    }
    return {};
  }

  /// Every entry; one that vanishes meanwhile is left out.
  [[nodiscard]] std::vector<std::pair<Key, Value>> entries() const {
    std::vector<std::pair<Key, Value>> result;
    Key previous{};
    Key key{};
    void* from = nullptr;
    while (result.size() <= capacity_ && bpf_map_get_next_key(fd_.get(), from, &key) == 0) {
      if (auto value = get(key)) result.emplace_back(key, *value);
      previous = key;
      from = &previous;
    }
    return result;
  }

 private:
  UniqueFd fd_;
  std::string name_;
  std::uint32_t capacity_ = 0;
};

enum class Access : std::uint8_t { ReadOnly, ReadWrite };

/// A memory-mapped array: rows are read and written in place, and BPF programs see it at once.
template <typename Row>
class MappedArray {
  static_assert(sizeof(Row) % 8 == 0, "the kernel rounds rows of an array up to 8 bytes");

 public:
  static Result<MappedArray> from_fd(UniqueFd fd, std::string name, Access access) {
    auto info = map_info(fd.get(), name);
    if (!info) return info.error();
    if (auto checked = check_sizes(*info, name, sizeof(std::uint32_t), sizeof(Row)); !checked) {
      return checked.error();
    }
    MappedArray array;
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    array.bytes_ = (sizeof(Row) * info->max_entries + page - 1) / page * page;
    const int protection = access == Access::ReadOnly ? PROT_READ : PROT_READ | PROT_WRITE;
    void* mapped = ::mmap(nullptr, array.bytes_, protection, MAP_SHARED, fd.get(), 0);
    if (mapped == MAP_FAILED) return errno_error(errno, "map " + name + " into memory");
    array.rows_ = static_cast<Row*>(mapped);
    array.capacity_ = info->max_entries;
    array.fd_ = std::move(fd);
    return array;
  }

  MappedArray() = default;
  MappedArray(MappedArray&& other) noexcept { swap(other); }
  MappedArray& operator=(MappedArray&& other) noexcept {
    MappedArray taken(std::move(other));
    swap(taken);
    return *this;
  }
  MappedArray(const MappedArray&) = delete;
  MappedArray& operator=(const MappedArray&) = delete;
  ~MappedArray() {
    if (rows_ != nullptr) ::munmap(rows_, bytes_);
  }

  [[nodiscard]] std::uint32_t capacity() const { return capacity_; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// @pre id < capacity()
  Row& operator[](std::uint32_t id) { return rows_[id]; }
  const Row& operator[](std::uint32_t id) const { return rows_[id]; }
  [[nodiscard]] std::span<const Row> rows() const { return {rows_, capacity_}; }

 private:
  void swap(MappedArray& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(rows_, other.rows_);
    std::swap(bytes_, other.bytes_);
    std::swap(capacity_, other.capacity_);
  }

  UniqueFd fd_;
  Row* rows_ = nullptr;
  std::size_t bytes_ = 0;
  std::uint32_t capacity_ = 0;
};

}  // namespace topolb::dataplane
