// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "util/result.h"

namespace topolb::kube {

/// A whole file. Error: "read NAME FILE: ...".
Result<std::string> read_text_file(const std::string& file, const std::string& name);

}  // namespace topolb::kube
