// SPDX-License-Identifier: Apache-2.0
// Numbers that BPF programs have in their instructions (maps/constants.h).
#pragma once

#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "maps/constants.h"
#include "util/result.h"

namespace topolb::dataplane {

/// By topolb_constant.
using Constants = std::map<std::uint32_t, std::uint64_t>;

inline constexpr std::array kSearchedMaps{"backends", "counters", "frontends", "sets"};
/// What programs find frontends, their sets and backends, and counters with, in maps of so many
/// entries. @pre `entries` has kSearchedMaps
Constants search_constants(std::uint64_t frontend_seed,
                           const std::map<std::string, std::uint32_t>& entries);

/// A copy of the ELF file of a BPF object, of `size` bytes, with its constants in place. The error
/// names one that it has and `constants` lacks.
Result<std::vector<std::uint64_t>> with_constants(const void* elf, std::size_t size,
                                                  const Constants& constants);

/// A bpftool skeleton.
template <typename Skeleton>
using OpenSkeleton = std::unique_ptr<Skeleton, void (*)(Skeleton*)>;

/// NAME__open() of a skeleton, with constants; `create` is NAME__create_skeleton(), `destroy`
/// NAME__destroy().
template <typename Skeleton>
Result<OpenSkeleton<Skeleton>> open_skeleton(int (*create)(Skeleton*), void (*destroy)(Skeleton*),
                                             const Constants& constants) {
  OpenSkeleton<Skeleton> skeleton(static_cast<Skeleton*>(std::calloc(1, sizeof(Skeleton))),
                                  destroy);
  if (!skeleton || create(skeleton.get()) != 0) return errno_error(ENOMEM, "open a BPF object");
  bpf_object_skeleton& parts = *skeleton->skeleton;
  auto elf = with_constants(parts.data, parts.data_sz, constants);
  if (!elf) return make_error(fmt::format("BPF object {}: {}", parts.name, elf.error().message()));
  parts.data = elf->data();
  const int failed = bpf_object__open_skeleton(&parts, nullptr);
  parts.data = nullptr;  // libbpf has copied what it needs
  if (failed != 0) return errno_error(-failed, fmt::format("open the BPF object {}", parts.name));
  return skeleton;
}

}  // namespace topolb::dataplane
