// SPDX-License-Identifier: Apache-2.0
#include "kube/watch_event.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>

namespace topolb::kube {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr std::size_t kMaxLine = 64UL << 20;
constexpr std::uint64_t kFirstStreamingMinor = 32;

std::string text_field(ondemand::object& object, std::string_view name) {
  std::string_view text;
  if (object.find_field_unordered(name).get_string().get(text) != simdjson::SUCCESS) return {};
  return std::string(text);
}

std::optional<ApiStatus> read_status(ondemand::object& object) {
  ApiStatus status;
  std::int64_t code = 0;
  if (object.find_field_unordered("code").get_int64().get(code) != simdjson::SUCCESS) code = 0;
  status.code = static_cast<int>(code);
  status.reason = text_field(object, "reason");
  status.message = text_field(object, "message");
  ondemand::object details;
  if (object.find_field_unordered("details").get_object().get(details) == simdjson::SUCCESS) {
    std::int64_t seconds = 0;
    if (details.find_field_unordered("retryAfterSeconds").get_int64().get(seconds) ==
            simdjson::SUCCESS &&
        seconds > 0) {
      status.retry_after = std::chrono::seconds(seconds);
    }
  }
  return status;
}

bool is_initial_events_end(ondemand::object& metadata) {
  ondemand::object annotations;
  if (metadata.find_field_unordered("annotations").get_object().get(annotations) !=
      simdjson::SUCCESS) {
    return false;
  }
  return text_field(annotations, "k8s.io/initial-events-end") == "true";
}

Error malformed(std::string_view what) {
  return {std::make_error_code(std::errc::bad_message), fmt::format("watch event: {}", what)};
}

Result<WatchEvent> read_bookmark(ondemand::object& object) {
  ondemand::object metadata;
  if (object.find_field_unordered("metadata").get_object().get(metadata) != simdjson::SUCCESS) {
    return malformed("bookmark without metadata");
  }
  WatchEvent event;
  event.type = WatchEvent::Type::Bookmark;
  event.resource_version = text_field(metadata, "resourceVersion");
  event.initial_events_end = is_initial_events_end(metadata);
  if (event.resource_version.empty()) return malformed("bookmark without resourceVersion");
  return event;
}

Result<WatchEvent> read_event(const std::string& type, ondemand::object& object) {
  if (type == "BOOKMARK") return read_bookmark(object);
  WatchEvent event;
  if (type == "ERROR") {
    event.type = WatchEvent::Type::Error;
    event.status = *read_status(object);
    return event;
  }
  if (type != "ADDED" && type != "MODIFIED" && type != "DELETED") {
    return malformed(fmt::format("unknown type '{}'", type));
  }
  event.type = type == "DELETED" ? WatchEvent::Type::Delete : WatchEvent::Type::Put;
  std::string_view raw;
  if (object.raw_json().get(raw) != simdjson::SUCCESS) return malformed("object cut short");
  event.object = raw;
  return event;
}

}  // namespace

std::optional<ApiStatus> parse_status(std::string_view json) {
  const simdjson::padded_string padded(json);
  ondemand::parser parser;
  ondemand::document document;
  ondemand::object object;
  if (parser.iterate(padded).get(document) != simdjson::SUCCESS ||
      document.get_object().get(object) != simdjson::SUCCESS ||
      text_field(object, "kind") != "Status") {
    return std::nullopt;
  }
  return read_status(object);
}

Result<WatchEvent> parse_watch_event(std::string_view line) {
  const simdjson::padded_string padded(line);
  ondemand::parser parser;
  ondemand::document document;
  ondemand::object envelope;
  if (parser.iterate(padded).get(document) != simdjson::SUCCESS ||
      document.get_object().get(envelope) != simdjson::SUCCESS) {
    return malformed("no JSON object");
  }
  const std::string type = text_field(envelope, "type");
  ondemand::object object;
  if (type.empty()) return malformed("no type");
  if (envelope.find_field_unordered("object").get_object().get(object) != simdjson::SUCCESS) {
    return malformed("no object");
  }
  return read_event(type, object);
}

Result<void> check_list(std::string_view json, const std::vector<ListType>& types) {
  const auto wrong = [](std::string_view what) {
    return Error{std::make_error_code(std::errc::bad_message), std::string(what)};
  };
  const simdjson::padded_string padded(json);
  simdjson::dom::parser parser;  // validates the whole document: a list cut short is no list
  simdjson::dom::object list;
  if (parser.parse(padded).get_object().get(list) != simdjson::SUCCESS) {
    return wrong("the answer is no complete JSON object");
  }
  std::string_view kind;
  std::string_view api_version;
  const bool typed = list["kind"].get_string().get(kind) == simdjson::SUCCESS &&
                     list["apiVersion"].get_string().get(api_version) == simdjson::SUCCESS;
  const ListType type{std::string(api_version), std::string(kind)};
  if (!typed || std::ranges::find(types, type) == types.end()) {
    return wrong(fmt::format("the answer is a '{} {}', not a '{} {}'", type.api_version, type.kind,
                             types.front().api_version, types.front().kind));
  }
  simdjson::dom::element items;
  if (list["items"].get(items) != simdjson::SUCCESS || !(items.is_array() || items.is_null())) {
    return wrong("the list has no items");
  }
  std::string_view version;
  if (list["metadata"]["resourceVersion"].get_string().get(version) != simdjson::SUCCESS ||
      version.empty()) {
    return wrong("the list has no resourceVersion");
  }
  return {};
}

bool streams_lists(std::string_view version_json) {
  const simdjson::padded_string padded(version_json);
  simdjson::dom::parser parser;
  simdjson::dom::object version;
  std::string_view major;
  std::string_view minor;
  if (parser.parse(padded).get_object().get(version) != simdjson::SUCCESS ||
      version["major"].get_string().get(major) != simdjson::SUCCESS ||
      version["minor"].get_string().get(minor) != simdjson::SUCCESS) {
    return false;
  }
  // Some distributions write "32+".
  const auto number = version_number(minor.substr(0, minor.find_first_not_of("0123456789")));
  return major == "1" && number.value_or(0) >= kFirstStreamingMinor;
}

std::optional<std::uint64_t> version_number(std::string_view resource_version) {
  std::uint64_t number = 0;
  const char* end = resource_version.data() + resource_version.size();
  const auto [parsed, code] = std::from_chars(resource_version.data(), end, number);
  if (code != std::errc{} || parsed != end) return std::nullopt;
  return number;
}

bool is_older(std::string_view a, std::string_view b) {
  const auto number_a = version_number(a);
  const auto number_b = version_number(b);
  return number_a && number_b && *number_a < *number_b;
}

Result<bool> LineSplitter::feed(std::string_view piece,
                                const std::function<bool(std::string_view)>& on_line) {
  while (true) {
    const auto end = piece.find('\n');
    if (end == std::string_view::npos) break;
    std::string_view line = piece.substr(0, end);
    std::string joined;
    if (!partial_.empty()) {
      joined = std::exchange(partial_, {}).append(line);
      line = joined;
    }
    piece.remove_prefix(end + 1);
    if (!line.empty() && line != "\r" && !on_line(line)) return false;
  }
  if (partial_.size() + piece.size() > kMaxLine) return malformed("line too long");
  partial_.append(piece);
  return true;
}

}  // namespace topolb::kube
