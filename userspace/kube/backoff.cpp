// SPDX-License-Identifier: Apache-2.0
#include "kube/backoff.h"

#include <algorithm>

namespace topolb::kube {
namespace {
constexpr std::chrono::milliseconds kFirst{200};
constexpr unsigned kMaxDoublings = 10;
}  // namespace

std::chrono::milliseconds Backoff::next(std::chrono::milliseconds cap, double random) {
  if (++failures_ == 1) return std::chrono::milliseconds(0);
  const auto wait = std::min(cap, kFirst * (1 << std::min(failures_ - 2, kMaxDoublings)));
  return std::chrono::duration_cast<std::chrono::milliseconds>(wait * (0.5 + random));
}

}  // namespace topolb::kube
