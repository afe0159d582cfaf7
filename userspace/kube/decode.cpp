// SPDX-License-Identifier: Apache-2.0
#include "kube/decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "kube/decode_document.h"
#include "kube/decode_fields.h"
#include "kube/decode_object.h"

namespace topolb::kube {
namespace {

// Of the cluster autoscaler.
constexpr std::string_view kToBeDeletedTaint = "ToBeDeletedByClusterAutoscaler";

constexpr std::size_t kMaxNameBytes = 253;  // RFC 1123 subdomain, the API's limit

enum class Role : std::uint8_t { Object, List, Other };

struct Type {
  Role role = Role::Other;
  std::optional<Kind> kind;  // of the object, or of the items
  std::string_view api_version;
};

constexpr std::array kKinds{Kind::Service, Kind::EndpointSlice, Kind::Node};

Type type_of(std::string_view kind, std::string_view api_version,
             const DocumentDecoder::Inherited& inherited) {
  if (kind.empty() && inherited.kind) return {Role::Object, inherited.kind, api_version};
  // Metadata of an object says nothing of the object's own kind: only the caller knows.
  if (kind == "PartialObjectMetadata" && inherited.kind) return {Role::Object, inherited.kind, ""};
  if (kind == "PartialObjectMetadataList" && inherited.kind) {
    return {Role::List, inherited.kind, ""};
  }
  if (kind == "List") return {Role::List, inherited.kind, ""};
  for (const Kind known : kKinds) {
    const std::string_view name = to_string(known);
    if (kind == name) return {Role::Object, known, api_version};
    if (kind.starts_with(name) && kind.substr(name.size()) == "List") {
      return {Role::List, known, api_version};
    }
  }
  return {};
}

// The core group has no prefix in its apiVersion; "serving.knative.dev/v1" has a Service, too.
bool is_other_group(Kind kind, std::string_view api_version) {
  return kind != Kind::EndpointSlice && api_version.find('/') != std::string_view::npos;
}

std::string_view supported_version(Kind kind) {
  return kind == Kind::EndpointSlice ? "discovery.k8s.io/v1" : "v1";
}

// What the API server accepts as a path segment; without control characters, so that it can be
// shown in one line.
bool is_object_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name != "." && name != ".." &&
         std::none_of(name.begin(), name.end(), [](unsigned char c) {
           return c <= 0x20 || c == 0x7f || c == '/' || c == '%';
         });
}

}  // namespace

void DocumentDecoder::add_problems(ProblemSink& sink, const core::ObjectKey& key) {
  for (core::Problem& problem : sink.take()) {
    problem.namespace_name = key.namespace_name;
    problem.name = key.name;
    document_.problems.push_back(std::move(problem));
  }
}

Result<void> DocumentDecoder::decode(const Value& value, const FieldPath& path,
                                     const Inherited& inherited) {
  ProblemSink sink({});
  const auto fields = Fields::of(value, path, sink);
  if (!fields) {
    sink.add_unexpected(kInvalidObject, path, value, "an object");
    add_problems(sink);
    return {};
  }
  // Within a list of protobuf, objects do not say what they are.
  if (fields->is_protobuf()) return decode_typed(*fields, {}, path, inherited);
  const TypeMeta type{fields->string("kind"), fields->string("apiVersion")};
  if (sink.count() == 0 && type.kind.empty() && !inherited.kind) {
    sink.add(kInvalidObject, FieldPath(path, "kind").to_string() + " is missing");
  }
  if (sink.count() != 0) {
    add_problems(sink);
    return {};
  }
  return decode_typed(*fields, type, path, inherited);
}

Result<void> DocumentDecoder::decode_typed(const Fields& fields, const TypeMeta& meta,
                                           const FieldPath& path, const Inherited& inherited) {
  const auto api_version = meta.api_version.empty() ? inherited.api_version : meta.api_version;
  const Type type = type_of(meta.kind, api_version, inherited);
  if (type.role == Role::Other) return {};
  if (type.kind && is_other_group(*type.kind, type.api_version)) return {};
  if (type.role == Role::List) return decode_list(fields, path, {type.kind, type.api_version});
  decode_object(fields, path, *type.kind, type.api_version);
  return {};
}

Result<void> DocumentDecoder::decode_list(const Fields& list, const FieldPath& path,
                                          const Inherited& items) {
  const auto metadata = list.child("metadata");
  if (metadata && !std::exchange(in_list_, true)) {
    document_.list_resource_version = metadata->string("resourceVersion");
    document_.list_continue = metadata->string("continue");
  }
  // Unknown is not empty: whoever asked for a list must not take this for one without items.
  if (!list.is_list("items")) {
    return Error{{}, FieldPath(path, "items").to_string() + " is no list"};
  }
  document_.objects.reserve(document_.objects.size() + list.list_size("items"));
  Result<void> outcome;
  list.for_each_element("items", [&](const Value& item, const FieldPath& item_path) {
    if (outcome) outcome = decode(item, item_path, items);
  });
  return outcome;
}

// What is unusable stays empty, with a problem.
ObjectId DocumentDecoder::decode_identity(const Fields& object, Kind kind) {
  const auto metadata = object.child("metadata");
  ProblemSink& sink = object.sink();
  const auto read = [&](std::string_view key) -> std::string {
    const std::string_view text = metadata ? metadata->string(key) : "";
    if (text.empty() || is_object_name(text)) return std::string(text);
    sink.add(kInvalidObject,
             fmt::format("{} is {}, not a name that the API accepts",
                         FieldPath(metadata->path(), key).to_string(), quote(text)));
    return "";
  };
  ObjectId id{kind, {"", read("name")}};
  if (id.key.name.empty() && sink.count() == 0) {
    const FieldPath metadata_path(object.path(), "metadata");
    sink.add(kInvalidObject, FieldPath(metadata_path, "name").to_string() + " is missing");
  }
  if (kind == Kind::Node) return id;
  const std::size_t problems_before = sink.count();
  id.key.namespace_name = read("namespace");
  if (id.key.namespace_name.empty() && sink.count() == problems_before) {
    id.key.namespace_name = "default";
  }
  return id;
}

void DocumentDecoder::decode_body(const Fields& object, DecodedObject& decoded) {
  const auto& [kind, key] = decoded.id;
  if (kind == Kind::Service) {
    if (auto service = decode_service(object, key)) decoded.object = std::move(*service);
  } else if (kind == Kind::EndpointSlice) {
    if (auto slice = decode_slice(object, key)) decoded.object = std::move(*slice);
  } else {
    decoded.object = decode_node(object, key.name);
  }
}

void DocumentDecoder::decode_object(const Fields& object, const FieldPath& path, Kind kind,
                                    std::string_view api_version) {
  ProblemSink anonymous({std::string(to_string(kind)), "", "", "", ""});
  ObjectId id = decode_identity(object.told_to(anonymous, path), kind);
  if (anonymous.count() != 0) {
    add_problems(anonymous, id.key);
    return;
  }
  DecodedObject& decoded = document_.objects.emplace_back();
  decoded.id = std::move(id);
  ProblemSink sink(
      {std::string(to_string(kind)), decoded.id.key.namespace_name, decoded.id.key.name, "", ""});
  const FieldPath root;
  const Fields fields = object.told_to(sink, root);
  if (!api_version.empty() && api_version != supported_version(kind)) {
    sink.add(kUnsupportedVersion,
             fmt::format("apiVersion is {}, not {}", quote(api_version), supported_version(kind)));
  } else {
    if (const auto metadata = fields.child("metadata")) {
      decoded.resource_version = metadata->string("resourceVersion");
    }
    decode_body(fields, decoded);
  }
  decoded.problems = sink.take();
}

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::Service:
      return "Service";
    case Kind::EndpointSlice:
      return "EndpointSlice";
    case Kind::Node:
      return "Node";
  }
  return "?";
}

core::Node decode_node(const Fields& object, const std::string& name) {
  core::Node node{.name = name, .labels = {}};
  if (const auto metadata = object.child("metadata")) {
    metadata->for_each_entry("labels", [&](std::string_view key, auto value) {
      if (value) node.labels.insert_or_assign(std::string(key), *value);
    });
    node.leaving = metadata->find("deletionTimestamp").has_value();
  }
  if (const auto spec = object.child("spec")) {
    spec->for_each_object("taints", kInvalidObject, [&](const Fields& taint) {
      node.leaving = node.leaving || taint.string("key") == kToBeDeletedTaint;
    });
  }
  return node;
}

Result<DecodedDocument> decode_json(std::string_view json, std::optional<Kind> default_kind) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(json.data(), json.size()).get(root)) {
    return Error{{}, fmt::format("no valid JSON: {}", simdjson::error_message(error))};
  }
  if (!root.is_object()) return Error{{}, "no object"};
  DocumentDecoder decoder;
  auto decoded = decoder.decode(root, FieldPath(), {default_kind, ""});
  if (!decoded) return std::move(decoded).error();
  return decoder.take();
}

}  // namespace topolb::kube
