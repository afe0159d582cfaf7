// SPDX-License-Identifier: Apache-2.0
#include "kube/manifest_file.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "kube/manifest_json.h"
#include "kube/yaml.h"

namespace topolb::kube {
namespace {

void append(ManifestFile& file, DecodedDocument document, std::string_view path, std::size_t line) {
  for (DecodedObject& object : document.objects) {
    for (core::Problem& problem : object.problems) {
      problem.message += fmt::format(" (file {})", path);
    }
    object.file = path;
    file.objects.push_back(std::move(object));
  }
  for (core::Problem& problem : document.problems) {
    // Without a kind there is nothing to name but the file.
    if (problem.kind.empty()) {
      problem.kind = "File";
      problem.name = path;
    }
    problem.message += fmt::format(" (file {}, document at line {})", path, line);
    file.problems.push_back(std::move(problem));
  }
}

Result<void> append_text(ManifestFile& file, std::string_view json, std::string_view path,
                         std::size_t line) {
  auto document = decode_json(json);
  if (!document) {
    return Error{{}, fmt::format("document at line {}: {}", line, document.error().message())};
  }
  append(file, *std::move(document), path, line);
  return {};
}

Result<ManifestFile> decode_json_file(std::string_view path, std::string_view text) {
  ManifestFile file;
  // Nearly always a single document; looking for the ends of several is slower than parsing.
  if (append_text(file, text, path, 1)) return file;
  auto documents = split_json(text);
  if (!documents) return std::move(documents).error();
  for (const JsonText& document : *documents) {
    if (auto appended = append_text(file, document.text, path, document.line); !appended) {
      return appended.error();
    }
  }
  return file;
}

Result<ManifestFile> decode_yaml_file(std::string_view path, std::string_view text) {
  // JSON in a YAML file is common (`kubectl get -o json`), and much faster read as JSON.
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && text[first] == '{') {
    if (auto file = decode_json_file(path, text)) return file;
  }
  ManifestFile file;
  auto documents = yaml_to_json(text);
  if (!documents) return std::move(documents).error();
  for (JsonDocument& document : *documents) {
    const std::string json = std::move(document.json);
    if (auto appended = append_text(file, json, path, document.line); !appended) {
      return appended.error();
    }
  }
  return file;
}

}  // namespace

bool is_manifest_name(std::string_view file_name) {
  return !file_name.starts_with('.') &&
         (file_name.ends_with(".yaml") || file_name.ends_with(".yml") ||
          file_name.ends_with(".json"));
}

Result<ManifestFile> decode_manifest(std::string_view path, std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  return path.ends_with(".json") ? decode_json_file(path, text) : decode_yaml_file(path, text);
}

}  // namespace topolb::kube
