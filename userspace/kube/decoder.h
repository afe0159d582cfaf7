// SPDX-License-Identifier: Apache-2.0
// What an API server sends, in JSON or in protobuf, -> the core model: one document after the
// other, with buffers that are kept for the next. Pure: no I/O. Not thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kube/decode.h"
#include "kube/watch_event.h"

namespace topolb::kube {

class Decoder {
 public:
  Decoder();
  Decoder(Decoder&&) noexcept;
  Decoder& operator=(Decoder&&) noexcept;
  ~Decoder();

  /// A page of a list of one of `types`, with items (null is an empty list) and a resourceVersion.
  /// Error: anything else. Whatever else answers 200 says nothing about the objects.
  Result<DecodedDocument> list(std::string_view body, const std::vector<ListType>& types,
                               Kind kind);

  /// A line or frame of a watch, as EventSplitter cuts it. Error: cut, neither JSON nor protobuf,
  /// or of an unknown type.
  Result<WatchEvent> event(std::string_view bytes, Kind kind);

  /// None: no Status (a proxy's HTML page, ...).
  std::optional<ApiStatus> status(std::string_view body);

 private:
  class Reader;  // keeps simdjson, whose layout depends on flags, out of this header
  std::unique_ptr<Reader> reader_;
};

/// As Decoder::status().
std::optional<ApiStatus> parse_status(std::string_view body);

}  // namespace topolb::kube
