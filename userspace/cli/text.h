// SPDX-License-Identifier: Apache-2.0
// Text for people: what may reach a terminal, how wide it is, and how numbers read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace topolb::cli {

/// Tables keep to this many columns, whatever the terminal, so that output is the same everywhere.
inline constexpr std::size_t kTextWidth = 80;

/// Bytes of the UTF-8 character that `text` begins with; 0 if it begins with none.
std::size_t utf8_length(std::string_view text);
/// Characters.
std::size_t display_width(std::string_view text);
/// On one line, and without what could steer a terminal: other bytes become "?".
std::string printable(std::string_view text);
/// Lines of at most `width`, broken after blanks and the separators of names where possible.
/// At least one line.
std::vector<std::string> wrap(std::string_view text, std::size_t width);

/// "1 problem", "2 problems"
std::string counted(std::size_t count, std::string_view noun);
/// "a, b"; "-" when empty.
std::string joined(const std::vector<std::string>& texts);
/// As many as fit `width` (one at least), then "+N more".
std::string shortened(const std::vector<std::string>& texts, std::size_t width);
/// "512 B", "1.5 MiB"
std::string bytes_text(std::uint64_t bytes);
/// "12 s", "3 min", "5 h", "2 d": the largest unit of which there are two, rounded down.
std::string duration_text(std::uint64_t seconds);
/// "2026-07-01 12:00:00 UTC", of seconds since 1970; "never" of 0.
std::string time_text(std::uint64_t seconds);
/// "0 %", "<1 %", "37 %"
std::string percent_text(std::uint64_t part, std::uint64_t whole);

/// Of a share from 0 to 1: "0 %", "<1 %", "37 %", ">99 %", "100 %"
std::string share_text(double share);

}  // namespace topolb::cli
