// SPDX-License-Identifier: Apache-2.0
// Kubernetes JSON -> core model, with the API's defaults for raw files. Pure: no I/O.
// Source: design.md 3.1; Kubernetes API v1 Service, Node; discovery.k8s.io/v1 EndpointSlice.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/model.h"
#include "util/result.h"

namespace topolb::kube {

enum class Kind : std::uint8_t { Service, EndpointSlice, Node };
std::string_view to_string(Kind kind);

/// How much of an object is asked for.
enum class Form : std::uint8_t { Whole, Metadata };

/// Identity of an object of a kind that topolb reads. Nodes have no namespace.
struct ObjectId {
  Kind kind = Kind::Service;
  core::ObjectKey key;
  auto operator<=>(const ObjectId&) const = default;
};

/// One object. `object` is empty when topolb does not serve it (headless, ExternalName, FQDN
/// slices, ...): whoever held an object of this id before must remove it.
struct DecodedObject {
  ObjectId id;
  std::string resource_version;  // "" in raw files
  std::string file;              // below the directory of manifests; "" from the API
  std::variant<std::monostate, core::Service, core::EndpointSlice, core::Node> object;
  std::vector<core::Problem> problems;
};

/// One JSON document: an object, or a List (`List`, `ServiceList`, ... ) of them. Objects of other
/// kinds are left out silently; objects without a name are left out with a problem in
/// `problems`. Nodes may be PartialObjectMetadata.
struct DecodedDocument {
  std::vector<DecodedObject> objects;
  std::vector<core::Problem> problems;  // of objects that have no usable identity
  std::string list_resource_version;    // of a List
  std::string list_continue;            // metadata.continue of a List: more pages follow
};

/// Error only when `json` is no JSON object at all. `default_kind`: what an object without
/// `kind` is (items of a typed list; PartialObjectMetadata of Nodes).
Result<DecodedDocument> decode_json(std::string_view json,
                                    std::optional<Kind> default_kind = std::nullopt);

}  // namespace topolb::kube
