// SPDX-License-Identifier: Apache-2.0
#include "cli/topology_keys_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

#include "cli/text.h"
#include "core/topology_keys.h"

namespace topolb::cli {
namespace {

constexpr std::size_t kFilesWidth = 40;

}  // namespace

Result<std::vector<std::string>> parse_key_arguments(const std::vector<std::string>& arguments,
                                                     const std::vector<std::string>& files) {
  const bool star_was_expanded =
      !files.empty() && std::ranges::all_of(files, [&](const std::string& file) {
        return std::ranges::find(arguments, file) != arguments.end();
      });
  if (star_was_expanded) {
    return make_error(fmt::format(
        "the shell has replaced a star by the names of the files here ({}): write it in "
        "quotes, '*'",
        shortened(files, kFilesWidth)));
  }
  std::vector<std::string> keys;
  for (const auto& argument : arguments) {
    const auto parsed = core::parse_topology_keys(argument);
    if (!parsed) {
      return make_error(fmt::format("'{}' begins with '[' but is no JSON list of keys", argument));
    }
    if (parsed->empty()) return make_error("an empty KEY: to take all keys away, use unset");
    keys.insert(keys.end(), parsed->begin(), parsed->end());
  }
  if (auto rule = core::judge_topology_keys(keys); !rule.empty()) return make_error(rule);
  return keys;
}

std::vector<std::string> visible_files() {
  std::vector<std::string> names;
  std::error_code failed;
  for (std::filesystem::directory_iterator entry(".", failed), end; !failed && entry != end;
       entry.increment(failed)) {
    auto name = entry->path().filename().string();
    if (!name.starts_with('.')) names.push_back(std::move(name));
  }
  std::ranges::sort(names);
  return names;
}

std::string keys_text(const std::vector<std::string>& keys) {
  return keys.empty() ? "none" : fmt::format("{}", fmt::join(keys, ", "));
}

std::string_view likely_key(std::string_view key) {
  static constexpr std::array<std::string_view, 3> kWellKnown{
      core::kHostnameLabel, core::kZoneLabel, "topology.kubernetes.io/region"};
  const auto last_word = [](std::string_view text) { return text.substr(text.rfind('/') + 1); };
  for (const auto known : kWellKnown) {
    if (key != known && last_word(key) == last_word(known)) return known;
  }
  return {};
}

}  // namespace topolb::cli
