// SPDX-License-Identifier: Apache-2.0
#include "kube/service_api.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <simdjson.h>

#include "kube/api_call.h"
#include "kube/decode.h"
#include "kube/json_text.h"
#include "kube/resource.h"

namespace topolb::kube {
namespace {

std::string path_of(const core::ObjectKey& key) {
  return object_path("/api/v1", key.namespace_name, "services", key.name);
}

/// What the decoder drops of a Service that is not served.
void read_keys(const simdjson::dom::element& root, ServiceObject& ret_object) {
  std::string_view text;
  if (root["metadata"]["resourceVersion"].get_string().get(text) == simdjson::SUCCESS) {
    ret_object.resource_version = text;
  }
  const auto annotation = root["metadata"]["annotations"][core::kTopologyKeysAnnotation];
  if (annotation.get_string().get(text) == simdjson::SUCCESS) {
    ret_object.topology_keys_annotation = text;
  }
  simdjson::dom::array keys;
  if (root["spec"]["topologyKeys"].get_array().get(keys) != simdjson::SUCCESS) return;
  for (const auto& key : keys) {
    ret_object.topology_keys_spec.emplace_back(
        key.get_string().get(text) == simdjson::SUCCESS ? text : "");
  }
}

Result<ServiceObject> read_service(const std::string& json, const core::ObjectKey& key) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  auto document = decode_json(json, Kind::Service);
  if (!document) return document.error();
  if (parser.parse(json).get(root) != simdjson::SUCCESS || document->objects.size() != 1 ||
      document->objects.front().id.key != key) {
    return make_error(fmt::format("GET {}: the answer is another object", path_of(key)));
  }
  ServiceObject object;
  object.key = key;
  read_keys(root, object);
  if (auto* service = std::get_if<core::Service>(&document->objects.front().object)) {
    object.service = std::move(*service);
  }
  return object;
}

std::string annotation_value(const std::vector<std::string>& keys) {
  return keys.empty() ? "null" : json_text(annotation_text(keys));
}

std::string spec_value(const std::vector<std::string>& keys) {
  std::vector<std::string> texts;
  texts.reserve(keys.size());
  for (const auto& key : keys) texts.push_back(json_text(key));
  return keys.empty() ? "null" : fmt::format("[{}]", fmt::join(texts, ","));
}

/// A merge patch. That it names the version read makes the server refuse it after any change.
std::string patch_of(const std::string& resource_version, const KeysChange& change) {
  if (change.field == KeysField::Spec) {
    return fmt::format(R"({{"metadata":{{"resourceVersion":{}}},"spec":{{"topologyKeys":{}}}}})",
                       json_text(resource_version), spec_value(change.keys));
  }
  return fmt::format(R"({{"metadata":{{"resourceVersion":{},"annotations":{{{}:{}}}}}}})",
                     json_text(resource_version), json_text(core::kTopologyKeysAnnotation),
                     annotation_value(change.keys));
}

}  // namespace

std::string annotation_text(const std::vector<std::string>& keys) {
  return fmt::format("{}", fmt::join(keys, ", "));
}

Result<ServiceObject> get_service(Api& api, const core::ObjectKey& key) {
  ApiRequest request;
  request.target = path_of(key);
  const auto json = call_api(api, request);
  if (!json) return json.error();
  return read_service(*json, key);
}

Result<ServiceObject> patch_topology_keys(Api& api, const ServiceObject& service,
                                          const KeysChange& change) {
  ApiRequest request;
  request.method = "PATCH";
  // Strict: a server without spec.topologyKeys says so instead of dropping it.
  request.target = make_target(path_of(service.key), {{"fieldManager", "topolb"},
                                                      {"fieldValidation", "Strict"},
                                                      {"dryRun", change.dry_run ? "All" : ""}});
  request.content_type = kMergePatchBody;
  request.body = patch_of(service.resource_version, change);
  const auto json = call_api(api, request);
  if (!json) return json.error();
  return read_service(*json, service.key);
}

}  // namespace topolb::kube
