// SPDX-License-Identifier: Apache-2.0
#include "dataplane/constants.h"

#include <linux/bpf.h>

#include <cstring>
#include <optional>

#include "dataplane/frontend_table.h"
#include "dataplane/kernel_maps.h"

namespace topolb::dataplane {
namespace {

constexpr std::uint64_t kNumberOfConstant = 0xffff;

/// Which constant a load of a 64-bit number, two instructions, stands for; none: it is another
/// instruction, or number.
std::optional<std::uint32_t> marked_by(const bpf_insn& low, const bpf_insn& high) {
  if (low.code != (BPF_LD | BPF_DW) || low.src_reg != 0 || low.off != 0) return {};  // BPF_IMM is 0
  if (high.code != 0 || high.dst_reg != 0 || high.src_reg != 0 || high.off != 0) return {};
  const auto number = std::uint64_t{static_cast<std::uint32_t>(high.imm)} << 32U |
                      static_cast<std::uint32_t>(low.imm);
  if ((number & ~kNumberOfConstant) != TOPOLB_CONSTANT_MARK) return {};
  return static_cast<std::uint32_t>(number & kNumberOfConstant);
}

}  // namespace

Constants search_constants(std::uint64_t frontend_seed,
                           const std::map<std::string, std::uint32_t>& entries) {
  const auto lines = frontends_for(entries.at("frontends"));
  return {{TOPOLB_FRONTEND_SEED, frontend_seed},
          {TOPOLB_FRONTEND_LINES, lines},
          {TOPOLB_SETS_PER_LINE, topolb_rows_per_line(entries.at("sets"), lines)},
          {TOPOLB_BACKENDS_PER_LINE, topolb_rows_per_line(entries.at("backends"), lines)},
          {TOPOLB_COUNTERS_PER_CPU, Counters::per_cpu(entries.at("counters"))}};
}

// Looks everywhere in the file, in steps of an instruction: sixteen bytes of which thirteen and a
// half are given are in no other section by chance.
Result<std::vector<std::uint64_t>> with_constants(const void* elf, std::size_t size,
                                                  const Constants& constants) {
  static_assert(sizeof(bpf_insn) == sizeof(std::uint64_t));
  std::vector<std::uint64_t> copy(size / sizeof(bpf_insn) + 1);
  std::memcpy(copy.data(), elf, size);
  for (std::size_t i = 0; i + 1 < copy.size(); ++i) {
    bpf_insn load[2];
    std::memcpy(load, &copy[i], sizeof(load));
    const auto constant = marked_by(load[0], load[1]);
    if (!constant) continue;
    const auto value = constants.find(*constant);
    if (value == constants.end())
      return make_error(fmt::format("constant {} has no value", *constant));
    load[0].imm = static_cast<std::int32_t>(value->second);
    load[1].imm = static_cast<std::int32_t>(value->second >> 32U);
    std::memcpy(&copy[i], load, sizeof(load));
  }
  return copy;
}

}  // namespace topolb::dataplane
