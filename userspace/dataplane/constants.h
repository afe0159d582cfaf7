// SPDX-License-Identifier: Apache-2.0
// Numbers that BPF programs have in their instructions (maps/constants.h).
#pragma once

#include <bpf/libbpf.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <vector>

#include "maps/constants.h"

namespace topolb::dataplane {

using Constants = std::map<topolb_constant, std::uint64_t>;

/// A copy of the ELF file of a BPF object, of `size` bytes, with its constants in place. None: it
/// has one that `constants` lacks.
std::optional<std::vector<std::uint64_t>> with_constants(const void* elf, std::size_t size,
                                                         const Constants& constants);

/// NAME__open() of a bpftool skeleton with constants; `create` is NAME__create_skeleton(),
/// `destroy` NAME__destroy(). Null with errno as there; EINVAL: a constant is missing.
template <typename Skeleton>
Skeleton* open_skeleton(int (*create)(Skeleton*), void (*destroy)(Skeleton*),
                        const Constants& constants) {
  auto* skeleton = static_cast<Skeleton*>(std::calloc(1, sizeof(Skeleton)));
  int failed = skeleton == nullptr ? -ENOMEM : create(skeleton);
  if (failed == 0) {
    bpf_object_skeleton& parts = *skeleton->skeleton;
    auto elf = with_constants(parts.data, parts.data_sz, constants);
    if (elf) parts.data = elf->data();  // libbpf copies what it needs
    failed = elf ? bpf_object__open_skeleton(&parts, nullptr) : -EINVAL;
  }
  if (failed == 0) return skeleton;
  destroy(skeleton);
  errno = -failed;
  return nullptr;
}

}  // namespace topolb::dataplane
