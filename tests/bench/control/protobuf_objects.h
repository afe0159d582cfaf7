// SPDX-License-Identifier: Apache-2.0
// The objects of a generated cluster as an API server sends them in protobuf, as complete as in
// JSON: made from that text, with all its fields.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace topolb::bench {

/// The message of a Service, an EndpointSlice or a Node's metadata.
std::string to_protobuf(std::string_view kind, const std::string& json);

/// The message of a list of such messages.
std::string protobuf_list(const std::string& version, const std::string& continue_token,
                          const std::vector<std::string>& items);

/// What stands around a message: its type, and what tells protobuf from JSON.
std::string protobuf_envelope(std::string_view api_version, std::string_view kind,
                              const std::string& message);

/// A frame of a watch, with its length.
std::string protobuf_event(std::string_view type, const std::string& envelope);

}  // namespace topolb::bench
