// SPDX-License-Identifier: Apache-2.0
// What API servers send around the objects: watch events, Status, the head of a list. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "util/result.h"

namespace topolb::kube {

/// The Status object of meta/v1.
struct ApiStatus {
  int code = 0;
  std::string reason;
  std::string message;
  std::optional<std::chrono::seconds> retry_after;  // details.retryAfterSeconds
};

/// None if `json` is no Status (a proxy's HTML page, ...).
std::optional<ApiStatus> parse_status(std::string_view json);

struct WatchEvent {
  enum class Type : std::uint8_t { Put, Delete, Bookmark, Error };
  Type type = Type::Put;
  std::string object;               // Put, Delete: its JSON
  std::string resource_version;     // Bookmark
  bool initial_events_end = false;  // Bookmark: the streaming list is complete
  ApiStatus status;                 // Error
};

/// One line of a watch. Error: cut, no JSON, or of an unknown type.
Result<WatchEvent> parse_watch_event(std::string_view line);

/// What a list says it is: "v1", "ServiceList".
struct ListType {
  std::string api_version;
  std::string kind;
  bool operator==(const ListType&) const = default;
};

/// Whether `json` is a list of one of `types`, with items (null is an empty list) and a
/// resourceVersion. Whatever else answers 200 says nothing about the objects.
Result<void> check_list(std::string_view json, const std::vector<ListType>& types);

/// Whether the server that sent this /version streams lists by default (Kubernetes 1.32 on;
/// where the gate is off it refuses them). Source: KEP-3157.
bool streams_lists(std::string_view version_json);

/// A resourceVersion as a number. API servers' are decimal and comparable within one kind
/// (KEP-5504); none for anything else, which then is only compared for equality.
std::optional<std::uint64_t> version_number(std::string_view resource_version);
/// Both are numbers, and `a` is the older one.
bool is_older(std::string_view a, std::string_view b);

/// Cuts a stream into lines, wherever the pieces happen to end.
class LineSplitter {
 public:
  /// Calls `on_line` for each complete line that is not empty, until it says false. Error: a line
  /// beyond any object's size.
  Result<bool> feed(std::string_view piece, const std::function<bool(std::string_view)>& on_line);
  /// Something came after the last line's end: the stream was cut in a line.
  [[nodiscard]] bool has_partial_line() const { return !partial_.empty(); }

 private:
  std::string partial_;
};

}  // namespace topolb::kube
