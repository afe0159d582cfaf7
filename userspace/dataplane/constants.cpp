// SPDX-License-Identifier: Apache-2.0
#include "dataplane/constants.h"

#include <linux/bpf.h>

#include <cstring>

namespace topolb::dataplane {
namespace {

constexpr std::uint64_t kNumberOfConstant = 0xffff;

/// The constant that a load of a 64-bit number stands for, in two instructions; none: it is another
/// instruction, or number.
std::optional<topolb_constant> marked_by(const bpf_insn& low, const bpf_insn& high) {
  if (low.code != (BPF_LD | BPF_DW | BPF_IMM) || low.src_reg != 0 || high.code != 0) return {};
  const auto number = std::uint64_t{static_cast<std::uint32_t>(high.imm)} << 32U |
                      static_cast<std::uint32_t>(low.imm);
  if ((number & ~kNumberOfConstant) != TOPOLB_CONSTANT_MARK) return {};
  return static_cast<topolb_constant>(number & kNumberOfConstant);
}

}  // namespace

// Any place in the file that looks like a marked load is one: the mark is nowhere else.
// Instructions are aligned to their size.
std::optional<std::vector<std::uint64_t>> with_constants(const void* elf, std::size_t size,
                                                         const Constants& constants) {
  static_assert(sizeof(bpf_insn) == sizeof(std::uint64_t));
  std::vector<std::uint64_t> copy((size + sizeof(bpf_insn) - 1) / sizeof(bpf_insn));
  std::memcpy(copy.data(), elf, size);
  for (std::size_t i = 0; i + 1 < copy.size(); ++i) {
    bpf_insn load[2];
    std::memcpy(load, &copy[i], sizeof(load));
    const auto constant = marked_by(load[0], load[1]);
    if (!constant) continue;
    const auto value = constants.find(*constant);
    if (value == constants.end()) return std::nullopt;
    load[0].imm = static_cast<std::int32_t>(value->second);
    load[1].imm = static_cast<std::int32_t>(value->second >> 32U);
    std::memcpy(&copy[i], load, sizeof(load));
  }
  return copy;
}

}  // namespace topolb::dataplane
