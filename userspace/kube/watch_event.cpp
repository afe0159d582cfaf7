// SPDX-License-Identifier: Apache-2.0
#include "kube/watch_event.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace topolb::kube {
namespace {

constexpr std::size_t kMaxEvent = 64UL << 20;
constexpr std::size_t kFrameHead = 4;
constexpr std::uint64_t kFirstStreamingMinor = 32;

Error too_long() { return {std::make_error_code(std::errc::bad_message), "watch event: too long"}; }

}  // namespace

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

// The first complete event, taken off `bytes`; none: there is none yet.
Result<std::optional<std::string_view>> EventSplitter::cut(std::string_view& bytes) {
  std::size_t begin = 0;
  std::size_t length = 0;
  std::size_t end = 0;
  if (in_frames_) {
    if (bytes.size() < kFrameHead) return std::optional<std::string_view>();
    for (std::size_t i = 0; i < kFrameHead; ++i) {
      length = length << 8 | static_cast<std::uint8_t>(bytes[i]);
    }
    if (length > kMaxEvent) return too_long();
    begin = kFrameHead;
    end = begin + length;
  } else {
    length = bytes.find('\n', std::exchange(searched_, 0));
    end = length == std::string_view::npos ? bytes.size() + 1 : length + 1;
  }
  if (bytes.size() < end) return std::optional<std::string_view>();
  const auto event = bytes.substr(begin, length);
  bytes.remove_prefix(end);
  return std::optional(event);
}

Result<bool> EventSplitter::feed(std::string_view piece,
                                 const std::function<bool(std::string_view)>& on_event) {
  // No JSON begins with such a control character, and no frame is so long as to begin with another.
  if (!begun_ && !piece.empty()) in_frames_ = static_cast<std::uint8_t>(piece.front()) < '\t';
  begun_ = begun_ || !piece.empty();
  const bool continued = !partial_.empty();
  if (continued) partial_.append(piece);
  std::string_view bytes = continued ? std::string_view(partial_) : piece;
  while (true) {
    const auto event = cut(bytes);
    if (!event) return event.error();
    if (!*event) break;
    if (!(*event)->empty() && **event != "\r" && !on_event(**event)) return false;
  }
  if (bytes.size() > kMaxEvent) return too_long();
  searched_ = bytes.size();
  if (continued) {
    partial_.erase(0, partial_.size() - bytes.size());
  } else {
    partial_ = bytes;
  }
  return true;
}

}  // namespace topolb::kube
