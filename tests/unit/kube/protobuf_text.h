// SPDX-License-Identifier: Apache-2.0
// Objects written down in JSON, as an API server sends them in protobuf.
#pragma once

#include <optional>
#include <string>

namespace topolb::kube::test {

/// An event of a watch with this object, without its length. None: it has something that no message
/// can hold, such as a text where a number belongs.
std::optional<std::string> protobuf_event(const std::string& type, const std::string& object_json);

}  // namespace topolb::kube::test
