// SPDX-License-Identifier: Apache-2.0
#include "kube/decode_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace topolb::kube {
namespace {

using simdjson::dom::element;

constexpr std::size_t kMaxQuotedBytes = 64;

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

void ProblemSink::add_unexpected(std::string_view reason, const FieldPath& path, const Value& value,
                                 std::string_view expected) {
  add(reason, fmt::format("{} is {}, not {}", path.to_string(), value.describe(), expected));
}

std::optional<std::string_view> Value::text() const {
  if (is_protobuf()) return is(FieldType::Text) ? std::optional(protobuf_.bytes) : std::nullopt;
  std::string_view text;
  return json_.get_string().get(text) ? std::nullopt : std::optional(text);
}

std::optional<std::int64_t> Value::number() const {
  if (is_protobuf()) return is(FieldType::Number) ? std::optional(protobuf_.number) : std::nullopt;
  std::int64_t number = 0;
  return json_.get_int64().get(number) ? std::nullopt : std::optional(number);
}

std::optional<bool> Value::truth() const {
  if (is_protobuf()) {
    return is(FieldType::Truth) ? std::optional(protobuf_.number != 0) : std::nullopt;
  }
  bool truth = false;
  return json_.get_bool().get(truth) ? std::nullopt : std::optional(truth);
}

std::string Value::describe() const {
  if (const auto own_text = text()) return quote(*own_text);
  if (is_protobuf()) {
    if (is(FieldType::Number)) return std::to_string(protobuf_.number);
    if (is(FieldType::Truth)) return protobuf_.number != 0 ? "true" : "false";
    return "an object";
  }
  if (json_.is_array()) return "a list";
  return json_.is_object() ? "an object" : simdjson::minify(json_);
}

std::optional<Fields> Fields::of(const Value& value, FieldPath path, ProblemSink& sink,
                                 std::string_view reason) {
  if (value.is_protobuf()) {
    if (!value.is(FieldType::Message)) return std::nullopt;
    const ProtobufValue& message = value.protobuf_;
    return Fields(ProtobufMessage(message.bytes, *message.field->message), path, sink, reason);
  }
  simdjson::dom::object object;
  if (value.json_.get_object().get(object)) return std::nullopt;
  return Fields(object, path, sink, reason);
}

// Which names are asked for does not depend on the object, so that a name that the schema lacks
// shows in any test that decodes one.
const FieldSchema* Fields::schema_of(std::string_view key) const {
  const FieldSchema* schema = protobuf_.schema()->find(key);
  if (schema == nullptr) {
    sink_->add(kInvalidObject,
               fmt::format("{} cannot be read from protobuf", FieldPath(path_, key).to_string()));
  }
  return schema;
}

std::optional<Value> Fields::find(std::string_view key) const {
  if (is_protobuf()) {
    const FieldSchema* schema = schema_of(key);
    const auto value = schema == nullptr ? std::nullopt : protobuf_.last(*schema);
    return value ? std::optional(Value(*value)) : std::nullopt;
  }
  std::optional<Value> found;
  for (auto field = json_.begin(); field != json_.end(); ++field) {
    if (!field.key_equals(key)) continue;
    found.reset();
    if (!field.value().is_null()) found = field.value();
  }
  return found;
}

void Fields::add_unexpected(std::string_view key, const Value& value,
                            std::string_view expected) const {
  sink_->add_unexpected(reason_, FieldPath(path_, key), value, expected);
}

bool Fields::boolean_or(std::string_view key, bool fallback) const {
  const auto value = find(key);
  if (!value) return fallback;
  const auto truth = value->truth();
  if (!truth) add_unexpected(key, *value, "true or false");
  return truth.value_or(fallback);
}

std::string_view Fields::string(std::string_view key) const {
  const auto value = find(key);
  if (!value) return {};
  const auto text = value->text();
  if (!text) add_unexpected(key, *value, "a string");
  return text.value_or(std::string_view());
}

std::size_t Fields::choice(std::string_view key,
                           std::initializer_list<std::string_view> values) const {
  const auto value = find(key);
  if (!value) return 0;
  if (const auto text = value->text()) {
    if (text->empty()) return 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (*text == values.begin()[i]) return i;
    }
  }
  add_unexpected(key, *value, one_of(values));
  return 0;
}

std::uint16_t Fields::port_or_zero(std::string_view key) const {
  const auto value = find(key);
  if (!value) return 0;
  const auto number = value->number();
  if (!number || *number < 0 || *number > 65535) {
    sink_->add_unexpected(kInvalidPort, FieldPath(path_, key), *value, kPortNumber);
    return 0;
  }
  return static_cast<std::uint16_t>(*number);
}

std::optional<Fields> Fields::child(std::string_view key) const {
  const auto value = find(key);
  if (!value) return std::nullopt;
  auto fields = of(*value, FieldPath(path_, key), *sink_, reason_);
  if (!fields) add_unexpected(key, *value, "an object");
  return fields;
}

bool Fields::has(std::string_view key) const {
  if (is_protobuf()) {
    const FieldSchema* schema = schema_of(key);
    return schema != nullptr && (schema->is_list || protobuf_.last(*schema).has_value());
  }
  simdjson::dom::element value;
  return json_.at_key(key).get(value) == simdjson::SUCCESS;
}

bool Fields::is_list(std::string_view key) const {
  if (is_protobuf()) return true;
  const auto value = find(key);
  return !value || value->json_.is_array();
}

std::size_t Fields::list_size(std::string_view key) const {
  std::size_t size = 0;
  if (is_protobuf()) {
    const FieldSchema* schema = schema_of(key);
    if (schema != nullptr) protobuf_.for_each(*schema, [&size](const ProtobufValue&) { ++size; });
    return size;
  }
  const auto value = find(key);
  simdjson::dom::array list;
  return value && !value->json_.get_array().get(list) ? list.size() : 0;
}

void Fields::for_each_element(std::string_view key, const ElementVisitor& visit) const {
  const FieldPath path(path_, key);
  std::size_t index = 0;
  if (is_protobuf()) {
    const FieldSchema* schema = schema_of(key);
    if (schema == nullptr) return;
    protobuf_.for_each(*schema, [&](const ProtobufValue& value) {
      visit(Value(value), FieldPath(path, index++));
    });
    return;
  }
  const auto value = find(key);
  if (!value) return;
  simdjson::dom::array list;
  if (value->json_.get_array().get(list)) {
    add_unexpected(key, *value, "a list");
    return;
  }
  for (const element& entry : list) visit(entry, FieldPath(path, index++));
}

void Fields::for_each_object(std::string_view key, std::string_view reason,
                             const std::function<void(const Fields&)>& visit) const {
  for_each_element(key, [&](const Value& entry, const FieldPath& path) {
    if (const auto fields = of(entry, path, *sink_, reason)) {
      visit(*fields);
    } else {
      sink_->add_unexpected(reason, path, entry, "an object");
    }
  });
}

void Fields::for_each_entry(std::string_view key, const EntryVisitor& visit) const {
  if (is_protobuf()) {
    const FieldSchema* schema = schema_of(key);
    if (schema == nullptr) return;
    protobuf_.for_each(*schema, [&visit](const ProtobufValue& value) {
      const auto [name, text] = open_entry(value.bytes);
      visit(name, text);
    });
    return;
  }
  const auto map = child(key);
  if (!map) return;
  for (const auto& [name, value] : map->json_) {
    std::string_view text;
    if (value.is_null() || !value.get_string().get(text)) {
      visit(name, text);
    } else {
      map->add_unexpected(name, Value(value), "a string");
      visit(name, std::nullopt);
    }
  }
}

std::optional<IpAddress> decode_address(const Value& value, const FieldPath& path,
                                        ProblemSink& sink) {
  if (const auto text = value.text()) {
    const auto address = IpAddress::parse(*text);
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
