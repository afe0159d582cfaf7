// SPDX-License-Identifier: Apache-2.0
// Decoded objects as one line of text, so that tables of cases stay readable.
#pragma once

#include <string>
#include <vector>

#include "kube/decode.h"

namespace topolb::kube::test {

using Texts = std::vector<std::string>;

/// Kind, identity and all that differs from the defaults; "none" for what is not served.
std::string text_of(const DecodedObject& object);
/// "InvalidPort spec.ports[0].port is 0, ...", of each, in order.
Texts text_of(const std::vector<core::Problem>& problems);
/// The same with "Kind namespace/name" in front.
Texts full_text_of(const std::vector<core::Problem>& problems);

}  // namespace topolb::kube::test
