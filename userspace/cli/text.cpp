// SPDX-License-Identifier: Apache-2.0
#include "cli/text.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace topolb::cli {
namespace {

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

/// C1 controls (U+0080..U+009F) steer terminals as the C0 ones do.
bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7f;
  return first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;
}

/// How many bytes of `text` to put on a line. @pre it is wider than `width`.
std::size_t break_at(std::string_view text, std::size_t width) {
  std::size_t end = 0;
  for (std::size_t characters = 0; characters < width; ++characters) {
    end += std::max<std::size_t>(utf8_length(text.substr(end)), 1);
  }
  if (text[end] == ' ') return end;
  for (const std::string_view separators : {" ", "/", ".-,:_"}) {
    const auto last = text.substr(0, end).find_last_of(separators);
    if (last != std::string_view::npos && last != 0) return last + 1;
  }
  return end;
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
  if (text.empty()) return 0;
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf5   ? 0
                             : first >= 0xf0 ? 4
                             : first >= 0xe0 ? 3
                             : first >= 0xc2 ? 2
                                             : 0;
  if (length == 0 || text.size() < length) return 0;
  if (!std::all_of(text.begin() + 1, text.begin() + static_cast<std::ptrdiff_t>(length),
                   is_continuation)) {
    return 0;
  }
  const auto second = static_cast<unsigned char>(text[1]);
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool out_of_range = (first == 0xed && second >= 0xa0) || (first == 0xf4 && second >= 0x90);
  return overlong || out_of_range ? 0 : length;
}

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return !is_continuation(byte); }));
}

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const auto character = text.substr(0, std::max<std::size_t>(length, 1));
    if (character == "\n" || character == "\t") {
      result += ' ';
    } else if (length == 0 || is_control(character)) {
      result += '?';
    } else {
      result += character;
    }
    text.remove_prefix(character.size());
  }
  return result;
}

std::vector<std::string> wrap(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  while (display_width(text) > width) {
    std::string_view line = text.substr(0, break_at(text, width));
    text.remove_prefix(line.size());
    while (line.ends_with(' ')) line.remove_suffix(1);
    while (text.starts_with(' ')) text.remove_prefix(1);
    lines.emplace_back(line);
  }
  if (!text.empty() || lines.empty()) lines.emplace_back(text);
  return lines;
}

std::string counted(std::size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string joined(const std::vector<std::string>& texts) {
  return texts.empty() ? "-" : fmt::format("{}", fmt::join(texts, ", "));
}

std::string shortened(const std::vector<std::string>& texts, std::size_t width) {
  std::string all = joined(texts);
  if (texts.size() < 2 || display_width(all) <= width) return all;
  std::string best;
  std::string shown;
  for (std::size_t count = 1; count < texts.size(); ++count) {
    shown += (count == 1 ? "" : ", ") + texts[count - 1];
    std::string candidate = fmt::format("{} +{} more", shown, texts.size() - count);
    if (count > 1 && display_width(candidate) > width) break;
    best = std::move(candidate);
  }
  return best;
}

std::string bytes_text(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  static constexpr std::array<std::string_view, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string duration_text(std::uint64_t seconds) {
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 2 * 3600) return fmt::format("{} min", seconds / 60);
  if (seconds < 2 * 86400) return fmt::format("{} h", seconds / 3600);
  return fmt::format("{} d", seconds / 86400);
}

std::string time_text(std::uint64_t seconds) {
  if (seconds == 0) return "never";
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

std::string percent_text(std::uint64_t part, std::uint64_t whole) {
  if (part == 0 || whole == 0) return "0 %";
  const auto percent = 100 * part / whole;
  return percent == 0 ? "<1 %" : fmt::format("{} %", percent);
}

std::string share_text(double share) {
  // Sums of parts miss 0 and 1 by a little.
  constexpr double kNothing = 1e-9;
  if (share < kNothing) return "0 %";
  if (share > 1 - kNothing) return "100 %";
  if (share < 0.005) return "<1 %";
  if (share > 0.995) return ">99 %";
  return fmt::format("{:.0f} %", 100 * share);
}

}  // namespace topolb::cli
