// SPDX-License-Identifier: Apache-2.0
#include "kube/decode_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace topolb::kube {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

constexpr std::size_t kMaxQuotedBytes = 64;

std::string describe(const element& value) {
  switch (value.type()) {
    case element_type::ARRAY:
      return "a list";
    case element_type::OBJECT:
      return "an object";
    case element_type::STRING:
      return quote(value.get_string().value_unsafe());
    default:
      return simdjson::minify(value);
  }
}

// "ClusterIP, NodePort or LoadBalancer"; "" stands for a default that is not written.
std::string one_of(std::initializer_list<std::string_view> values) {
  const auto* const first = values.begin() + (values.begin()->empty() ? 1 : 0);
  const auto* const last = values.end() - 1;
  return fmt::format("{} or {}", fmt::join(first, last, ", "), *last);
}

// Label keys have dots in them, so they are shown quoted.
bool is_plain_key(std::string_view key) {
  return !key.empty() && key.find_first_not_of(
                             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
                             "WXYZ0123456789") == std::string_view::npos;
}

}  // namespace

bool is_one_line(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size()) &&
         std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

std::string quote(std::string_view text) {
  const bool is_long = text.size() > kMaxQuotedBytes;
  const bool is_utf8 = simdjson::validate_utf8(text.data(), text.size());
  std::string shown = "\"";
  for (const char c : text.substr(0, kMaxQuotedBytes)) {
    if (c == '"' || c == '\\') {
      shown += '\\';
      shown += c;
    } else if (const auto byte = static_cast<unsigned char>(c);
               byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !is_utf8)) {
      shown += fmt::format("\\u{:04x}", byte);
    } else {
      shown += c;
    }
  }
  // Never cut a UTF-8 sequence in two: continuation bytes are 10xxxxxx.
  if (is_long) {
    while (shown.size() > 1 && (static_cast<unsigned char>(shown.back()) & 0xc0) == 0x80) {
      shown.pop_back();
    }
    if (static_cast<unsigned char>(shown.back()) >= 0xc0) shown.pop_back();
    shown += "...";
  }
  return shown + '"';
}

std::string FieldPath::to_string() const {
  if (parent_ == nullptr) return "";
  const std::string parent = parent_->to_string();
  if (is_index_) return fmt::format("{}[{}]", parent, index_);
  if (!is_plain_key(key_)) return fmt::format("{}[{}]", parent, quote(key_));
  return parent.empty() ? std::string(key_) : fmt::format("{}.{}", parent, key_);
}

void ProblemSink::add(std::string_view reason, std::string message) {
  core::Problem problem = identity_;
  problem.reason = reason;
  problem.message = std::move(message);
  problems_.push_back(std::move(problem));
}

void ProblemSink::add_unexpected(std::string_view reason, const FieldPath& path,
                                 const element& value, std::string_view expected) {
  add(reason, fmt::format("{} is {}, not {}", path.to_string(), describe(value), expected));
}

std::optional<element> Fields::find(std::string_view key) const {
  std::optional<element> found;
  for (auto field = object_.begin(); field != object_.end(); ++field) {
    if (!field.key_equals(key)) continue;
    found.reset();
    if (!field.value().is_null()) found = field.value();
  }
  return found;
}

void Fields::add_unexpected(std::string_view key, const element& value,
                            std::string_view expected) const {
  sink_->add_unexpected(reason_, FieldPath(path_, key), value, expected);
}

bool Fields::boolean_or(std::string_view key, bool fallback) const {
  const auto value = find(key);
  if (!value) return fallback;
  bool result = fallback;
  if (value->get_bool().get(result)) add_unexpected(key, *value, "true or false");
  return result;
}

std::string_view Fields::string(std::string_view key) const {
  const auto value = find(key);
  std::string_view result;
  if (value && value->get_string().get(result)) add_unexpected(key, *value, "a string");
  return result;
}

std::size_t Fields::choice(std::string_view key,
                           std::initializer_list<std::string_view> values) const {
  const auto value = find(key);
  if (!value) return 0;
  std::string_view text;
  if (!value->get_string().get(text)) {
    if (text.empty()) return 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (text == values.begin()[i]) return i;
    }
  }
  add_unexpected(key, *value, one_of(values));
  return 0;
}

std::uint16_t Fields::port_or_zero(std::string_view key) const {
  const auto value = find(key);
  if (!value) return 0;
  std::int64_t number = 0;
  if (value->get_int64().get(number) || number < 0 || number > 65535) {
    sink_->add_unexpected(kInvalidPort, FieldPath(path_, key), *value, kPortNumber);
    return 0;
  }
  return static_cast<std::uint16_t>(number);
}

std::optional<Fields> Fields::child(std::string_view key) const {
  const auto value = find(key);
  if (!value) return std::nullopt;
  simdjson::dom::object object;
  if (value->get_object().get(object)) {
    add_unexpected(key, *value, "an object");
    return std::nullopt;
  }
  return Fields(object, FieldPath(path_, key), *sink_, reason_);
}

std::size_t Fields::list_size(std::string_view key) const {
  const auto value = find(key);
  simdjson::dom::array list;
  return value && !value->get_array().get(list) ? list.size() : 0;
}

void Fields::for_each_element(std::string_view key, const ElementVisitor& visit) const {
  const auto value = find(key);
  if (!value) return;
  simdjson::dom::array list;
  if (value->get_array().get(list)) {
    add_unexpected(key, *value, "a list");
    return;
  }
  const FieldPath path(path_, key);
  std::size_t index = 0;
  for (const element& entry : list) visit(entry, FieldPath(path, index++));
}

void Fields::for_each_object(std::string_view key, std::string_view reason,
                             const std::function<void(const Fields&)>& visit) const {
  for_each_element(key, [&](const element& entry, const FieldPath& path) {
    simdjson::dom::object object;
    if (entry.get_object().get(object)) {
      sink_->add_unexpected(reason, path, entry, "an object");
    } else {
      visit(Fields(object, path, *sink_, reason));
    }
  });
}

void Fields::for_each_entry(std::string_view key, const EntryVisitor& visit) const {
  const auto map = child(key);
  if (!map) return;
  for (const auto& [name, value] : map->object_) {
    std::string_view text;
    if (value.is_null() || !value.get_string().get(text)) {
      visit(name, text);
    } else {
      map->add_unexpected(name, value, "a string");
      visit(name, std::nullopt);
    }
  }
}

std::optional<IpAddress> decode_address(const element& value, const FieldPath& path,
                                        ProblemSink& sink) {
  std::string_view text;
  if (!value.get_string().get(text)) {
    const auto address = IpAddress::parse(text);
    if (address && !address->is_unspecified()) return address;
  }
  sink.add_unexpected(kInvalidAddress, path, value, "the IP address of a host");
  return std::nullopt;
}

Protocol decode_protocol(const Fields& port) {
  constexpr std::array kProtocols{Protocol::TCP, Protocol::UDP, Protocol::SCTP};
  return kProtocols[port.choice("protocol", {"TCP", "UDP", "SCTP"})];
}

}  // namespace topolb::kube
