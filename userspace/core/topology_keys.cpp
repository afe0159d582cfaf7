// SPDX-License-Identifier: Apache-2.0
#include "core/topology_keys.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cstddef>

namespace topolb::core {
namespace {

constexpr std::size_t kMaxKeys = 16;           // API validation: MaxServiceTopologyKeys
constexpr std::size_t kMaxPrefixLength = 253;  // DNS subdomain
constexpr std::size_t kMaxNameLength = 63;
constexpr std::size_t kMaxQuotedLength = 80;

bool is_lower_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_alphanumeric(char c) { return is_lower_alphanumeric(c) || (c >= 'A' && c <= 'Z'); }

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\v\f";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool is_dns_label(std::string_view text) {
  return !text.empty() && is_lower_alphanumeric(text.front()) &&
         is_lower_alphanumeric(text.back()) && std::all_of(text.begin(), text.end(), [](char c) {
           return is_lower_alphanumeric(c) || c == '-';
         });
}

bool is_dns_subdomain(std::string_view text) {
  if (text.size() > kMaxPrefixLength) return false;
  while (true) {
    const auto dot = text.find('.');
    if (!is_dns_label(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool is_name_part(std::string_view text) {
  return !text.empty() && text.size() <= kMaxNameLength && is_alphanumeric(text.front()) &&
         is_alphanumeric(text.back()) && std::all_of(text.begin(), text.end(), [](char c) {
           return is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
         });
}

// A user's text inside a message: one line, printable, not longer than a line.
std::string in_quotes(std::string_view text) {
  std::string result(text.substr(0, kMaxQuotedLength));
  std::replace_if(
      result.begin(), result.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text.size() > kMaxQuotedLength ? fmt::format("\"{}...\"", result)
                                        : fmt::format("\"{}\"", result);
}

std::optional<std::vector<std::string>> parse_json_list(std::string_view text) {
  simdjson::dom::parser parser;
  simdjson::dom::array list;
  if (parser.parse(simdjson::padded_string(text)).get_array().get(list) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  std::vector<std::string> keys;
  for (const simdjson::dom::element element : list) {
    std::string_view key;
    if (element.get_string().get(key) != simdjson::SUCCESS) return std::nullopt;
    keys.emplace_back(trim(key));
  }
  return keys;
}

TopologyKeys invalid(std::string rule) {
  TopologyKeys result;
  result.problem_reason = "InvalidTopologyKeys";
  result.problem_message =
      fmt::format("{}; connections to this Service are refused until it is corrected", rule);
  result.problem_rule = std::move(rule);
  return result;
}

}  // namespace

bool is_label_key(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return is_name_part(text);
  return is_dns_subdomain(text.substr(0, slash)) && is_name_part(text.substr(slash + 1));
}

std::optional<std::vector<std::string>> parse_topology_keys(std::string_view text) {
  text = trim(text);
  if (text.empty()) return std::vector<std::string>{};
  if (text.front() == '[') return parse_json_list(text);
  std::vector<std::string> keys;
  while (true) {
    const auto comma = text.find(',');
    keys.emplace_back(trim(text.substr(0, comma)));
    if (comma == std::string_view::npos) return keys;
    text.remove_prefix(comma + 1);
  }
}

std::string judge_topology_keys(const std::vector<std::string>& keys) {
  if (keys.size() > kMaxKeys) {
    return fmt::format("{} topology keys, at most {} are allowed", keys.size(), kMaxKeys);
  }
  for (auto key = keys.begin(); key != keys.end(); ++key) {
    if (*key != kAnyTopology && !is_label_key(*key)) {
      return fmt::format(
          "topology key {} is no label key: write the key of a Node label, such as {}, or \"*\"",
          in_quotes(*key), kZoneLabel);
    }
    if (std::find(keys.begin(), key, *key) != key) {
      return fmt::format("topology key {} is there twice: write each key once", in_quotes(*key));
    }
  }
  const auto any = std::find(keys.begin(), keys.end(), kAnyTopology);
  if (any != keys.end() && any + 1 != keys.end()) {
    return "topology key \"*\" is not the last: keys after it could never be reached";
  }
  return {};
}

TopologyKeys topology_keys_of(const Service& service) {
  TopologyKeys result;
  if (service.topology_keys_annotation) {
    auto keys = parse_topology_keys(*service.topology_keys_annotation);
    if (!keys) {
      return invalid(
          fmt::format("annotation {} begins with \"[\" but is no JSON list of strings: {}",
                      kTopologyKeysAnnotation, in_quotes(trim(*service.topology_keys_annotation))));
    }
    result.keys = std::move(*keys);
  }
  if (result.keys.empty()) result.keys = service.topology_keys_spec;
  if (result.keys.empty()) return result;
  if (auto rule = judge_topology_keys(result.keys); !rule.empty()) return invalid(std::move(rule));
  if (service.external_local) {
    result.keys.clear();
    result.problem_reason = "TopologyKeysConflict";
    result.problem_rule =
        "topology keys do not go together with externalTrafficPolicy Local: remove one of the two";
    result.problem_message =
        fmt::format("{}; connections to this Service are refused until then", result.problem_rule);
  }
  return result;
}

}  // namespace topolb::core
