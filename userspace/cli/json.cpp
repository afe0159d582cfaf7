// SPDX-License-Identifier: Apache-2.0
#include "cli/json.h"

#include <fmt/format.h>

#include "cli/text.h"

namespace topolb::cli {
namespace {

void write_character(std::ostream& out, std::string_view character) {
  const auto byte = static_cast<unsigned char>(character.front());
  if (byte == '"' || byte == '\\') {
    out << '\\' << character;
  } else if (byte == '\n') {
    out << "\\n";
  } else if (byte == '\t') {
    out << "\\t";
  } else if (byte < 0x20 || byte == 0x7f) {
    out << fmt::format("\\u{:04x}", byte);
  } else {
    out << character;
  }
}

}  // namespace

void write_json_string(std::ostream& out, std::string_view text) {
  out << '"';
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      out << "\\ufffd";
      text.remove_prefix(1);
      continue;
    }
    write_character(out, text.substr(0, length));
    text.remove_prefix(length);
  }
  out << '"';
}

void Json::write(std::ostream& out) const {
  const char* separator = "";
  if (const auto* text = get<std::string>()) {
    write_json_string(out, *text);
  } else if (const auto* number = get<std::uint64_t>()) {
    out << *number;
  } else if (const auto* real = get<double>()) {
    // Sums of parts miss 0 by a little.
    out << fmt::format("{:.6g}", *real < 1e-12 ? 0 : *real);
  } else if (const auto* boolean = get<bool>()) {
    out << (*boolean ? "true" : "false");
  } else if (const auto* array = get<Array>()) {
    out << '[';
    for (const Json& element : *array) {
      out << std::exchange(separator, ", ");
      element.write(out);
    }
    out << ']';
  } else if (const auto* object = get<Object>()) {
    out << '{';
    for (const auto& [key, value] : *object) {
      out << std::exchange(separator, ", ");
      write_json_string(out, key);
      out << ": ";
      value.write(out);
    }
    out << '}';
  } else {
    out << "null";
  }
}

JsonDocument::~JsonDocument() { out_ << (empty_ ? "{}\n" : "}\n"); }

void JsonDocument::begin_member(std::string_view key) {
  out_ << (empty_ ? "{" : ",\n ");
  empty_ = false;
  write_json_string(out_, key);
  out_ << ": ";
}

void JsonDocument::member(std::string_view key, const Json& value) {
  const auto* array = value.get<Json::Array>();
  if (array != nullptr && !array->empty() && array->front().get<Json::Object>() != nullptr) {
    list(key, *array, [](const Json& element) -> const Json& { return element; });
    return;
  }
  begin_member(key);
  value.write(out_);
}

}  // namespace topolb::cli
