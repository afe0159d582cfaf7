// SPDX-License-Identifier: Apache-2.0
// The text of one manifest file -> the objects in it. Pure: no I/O.
#pragma once

#include <string_view>
#include <vector>

#include "core/model.h"
#include "kube/decode.h"
#include "util/result.h"

namespace topolb::kube {

/// What one file holds, in the order of the text. Every message names the file.
struct ManifestFile {
  std::vector<DecodedObject> objects;
  std::vector<core::Problem> problems;  // of documents and items without a usable identity
};

/// *.yaml, *.yml and *.json; without a leading ".".
bool is_manifest_name(std::string_view file_name);

/// `path` is for messages, and its ending tells JSON from YAML. Error: the text is no JSON or
/// YAML, or a document is no object; says the line, not the file.
Result<ManifestFile> decode_manifest(std::string_view path, std::string_view text);

}  // namespace topolb::kube
