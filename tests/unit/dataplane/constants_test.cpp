// SPDX-License-Identifier: Apache-2.0
#include "dataplane/constants.h"

#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <cstring>

namespace topolb::dataplane {
namespace {

constexpr auto kLoad = bpf_insn{.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 3};

std::vector<bpf_insn> load_of(std::uint64_t number, bpf_insn low = kLoad) {
  low.imm = static_cast<std::int32_t>(number);
  return {low, {.imm = static_cast<std::int32_t>(number >> 32U)}};
}

std::vector<bpf_insn> marked(topolb_constant constant) {
  return load_of(TOPOLB_CONSTANT_MARK | std::uint64_t{constant});
}

std::vector<bpf_insn> operator+(std::vector<bpf_insn> first, const std::vector<bpf_insn>& rest) {
  first.insert(first.end(), rest.begin(), rest.end());
  return first;
}

// What with_constants() makes of a program without marks.
std::vector<std::uint64_t> words(const std::vector<bpf_insn>& program) {
  std::vector<std::uint64_t> copy(program.size() + 1);
  std::memcpy(copy.data(), program.data(), program.size() * sizeof(bpf_insn));
  return copy;
}

Result<std::vector<std::uint64_t>> with(const std::vector<bpf_insn>& program,
                                        const Constants& constants) {
  return with_constants(program.data(), program.size() * sizeof(bpf_insn), constants);
}

constexpr bpf_insn kExit{.code = BPF_JMP | BPF_EXIT};

TEST(Constants, TakeThePlaceOfTheirMarks) {
  const Constants constants{
      {TOPOLB_PEER_LINES, 586}, {TOPOLB_FLOW_SEED, 0xfedcba9876543210}, {TOPOLB_IS_DSR_ON, 0}};
  const auto program = std::vector{kExit} + marked(TOPOLB_FLOW_SEED) + marked(TOPOLB_IS_DSR_ON) +
                       std::vector{kExit} + marked(TOPOLB_PEER_LINES) + marked(TOPOLB_FLOW_SEED);
  const auto wanted = std::vector{kExit} + load_of(0xfedcba9876543210) + load_of(0) +
                      std::vector{kExit} + load_of(586) + load_of(0xfedcba9876543210);
  EXPECT_EQ(with(program, constants).value(), words(wanted));
}

TEST(Constants, WhatIsNoMarkStays) {
  bpf_insn of_map = kLoad;
  of_map.src_reg = BPF_PSEUDO_MAP_FD;
  bpf_insn move = kLoad;
  move.code = BPF_ALU64 | BPF_MOV | BPF_K;
  const auto mark = TOPOLB_CONSTANT_MARK | std::uint64_t{TOPOLB_PEER_LINES};
  const auto program = load_of(mark, of_map) + load_of(mark, move) + load_of(mark ^ 1U << 16U) +
                       load_of(mark ^ std::uint64_t{1} << 63U) + std::vector{kExit};
  EXPECT_EQ(with(program, {{TOPOLB_PEER_LINES, 1}}).value(), words(program));
}

TEST(Constants, OneThatIsMissingIsAnError) {
  const auto made = with(marked(TOPOLB_FLOW_LINES), {{TOPOLB_PEER_LINES, 1}});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message(), fmt::format("constant {} has no value", +TOPOLB_FLOW_LINES));
}

// A mark that ends with the file would be half a load.
TEST(Constants, FilesOfAnySize) {
  const auto program = marked(TOPOLB_PEER_LINES);
  EXPECT_TRUE(with_constants(program.data(), sizeof(bpf_insn), {}));
  EXPECT_TRUE(with_constants(program.data(), 0, {}));
  const std::string text = "three bytes more";
  const auto copy = with_constants(text.data(), text.size() - 5, {});
  ASSERT_TRUE(copy);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(copy->data()), 11), "three bytes");
}

}  // namespace
}  // namespace topolb::dataplane
