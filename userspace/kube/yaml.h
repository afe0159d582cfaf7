// SPDX-License-Identifier: Apache-2.0
// YAML text -> JSON documents, as Kubernetes itself turns YAML into JSON, so that one decoder
// reads both. Pure: no I/O. Source: sigs.k8s.io/yaml (YAMLToJSON), which resolves plain scalars
// as YAML 1.1 does: yes, no, on, off, y and n are booleans, 010 is octal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "util/result.h"

namespace topolb::kube {

struct JsonDocument {
  std::string json;
  std::size_t line = 1;  // where it begins in the YAML text
};

/// Nodes deeper than this, and copies made by aliases (`*name`, `<<`) beyond this many bytes, are
/// an error: no manifest needs them, and both are ways to exhaust whoever reads a file.
inline constexpr std::size_t kMaxYamlDepth = 200;
inline constexpr std::size_t kMaxYamlAliasBytes = 8 << 20;

/// The documents of a YAML text (UTF-8), in order; empty ones are left out.
/// A mapping may come out with a key twice (written twice, or also merged by `<<`): the last one
/// counts. The error says where: "line 3 column 5: ...".
Result<std::vector<JsonDocument>> yaml_to_json(std::string_view yaml);

}  // namespace topolb::kube
