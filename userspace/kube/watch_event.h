// SPDX-License-Identifier: Apache-2.0
// What API servers send around the objects: watch events, Status, versions. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kube/decode.h"
#include "util/result.h"

namespace topolb::kube {

/// The Status object of meta/v1.
struct ApiStatus {
  int code = 0;
  std::string reason;
  std::string message;
  std::optional<std::chrono::seconds> retry_after;  // details.retryAfterSeconds
};

struct WatchEvent {
  enum class Type : std::uint8_t { Put, Delete, Bookmark, Error };
  Type type = Type::Put;
  DecodedDocument document;         // Put, Delete: the object
  std::string resource_version;     // Bookmark
  bool initial_events_end = false;  // Bookmark: the streaming list is complete
  ApiStatus status;                 // Error
};

/// What a list says it is: "v1", "ServiceList".
struct ListType {
  std::string api_version;
  std::string kind;
  bool operator==(const ListType&) const = default;
};

/// Whether the server that sent this /version streams lists by default (Kubernetes 1.32 on;
/// where the gate is off it refuses them). Source: KEP-3157.
bool streams_lists(std::string_view version_json);

/// A resourceVersion as a number. API servers' are decimal and comparable within one kind
/// (KEP-5504); none for anything else, which then is only compared for equality.
std::optional<std::uint64_t> version_number(std::string_view resource_version);
/// Both are numbers, and `a` is the older one.
bool is_older(std::string_view a, std::string_view b);

/// Cuts a watch into its events, wherever the pieces happen to end: lines of JSON, or frames of
/// protobuf, which begin with their length.
class EventSplitter {
 public:
  /// Calls `on_event` for each complete event, until it says false. Error: an event beyond any
  /// object's size.
  Result<bool> feed(std::string_view piece, const std::function<bool(std::string_view)>& on_event);
  /// Something came after the last event's end: the stream was cut in one.
  [[nodiscard]] bool has_partial_event() const { return !partial_.empty(); }

 private:
  Result<std::optional<std::string_view>> cut(std::string_view& bytes);

  std::string partial_;
  std::size_t searched_ = 0;  // of the bytes at hand: no line ends there
  bool begun_ = false;
  bool in_frames_ = false;
};

}  // namespace topolb::kube
