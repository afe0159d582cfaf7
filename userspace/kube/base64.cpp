// SPDX-License-Identifier: Apache-2.0
#include "kube/base64.h"

#include <cstdint>

namespace topolb::kube {
namespace {
constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}

std::string base64_encode(std::string_view bytes) {
  std::string text;
  for (std::size_t start = 0; start < bytes.size(); start += 3) {
    const std::string_view group = bytes.substr(start, 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      bits = bits << 8 | (i < group.size() ? static_cast<unsigned char>(group[i]) : 0U);
    }
    for (std::size_t digit = 0; digit < 4; ++digit) {
      text += digit <= group.size() ? kAlphabet[bits >> (18 - 6 * digit) & 63] : '=';
    }
  }
  return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
  std::string decoded;
  std::uint32_t bits = 0;
  unsigned digits = 0;
  unsigned padding = 0;
  for (const char character : text) {
    if (character == '\n' || character == '\r' || character == ' ' || character == '\t') continue;
    ++digits;
    bits <<= 6;
    if (character == '=') {
      if (++padding > 2) return std::nullopt;
    } else {
      const auto value = kAlphabet.find(character);
      if (value == std::string_view::npos || padding != 0) return std::nullopt;
      bits |= static_cast<std::uint32_t>(value);
    }
    if (digits % 4 != 0) continue;
    for (int shift = 16; shift >= 8 * static_cast<int>(padding); shift -= 8) {
      decoded += static_cast<char>(bits >> shift & 0xFF);
    }
    bits = 0;
  }
  if (digits % 4 != 0) return std::nullopt;
  return decoded;
}

}  // namespace topolb::kube
