// SPDX-License-Identifier: Apache-2.0
// One Service of the API, and the change of its topology keys.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/model.h"
#include "kube/api.h"

namespace topolb::kube {

struct ServiceObject {
  core::ObjectKey key;
  std::string resource_version;
  /// As topolb serves it; none: it does not (headless, ExternalName, no cluster IP).
  std::optional<core::Service> service;
  /// As written, also of a Service that is not served.
  std::optional<std::string> topology_keys_annotation;
  std::vector<std::string> topology_keys_spec;
};

/// Errors: as call_api().
Result<ServiceObject> get_service(Api& api, const core::ObjectKey& key);

/// Where topology keys are written.
enum class KeysField : std::uint8_t { Annotation, Spec };

struct KeysChange {
  KeysField field = KeysField::Annotation;
  std::vector<std::string> keys;  // empty: the field is taken away
  bool dry_run = false;           // the server judges it only
};

/// The annotation's text for these keys: "a, b".
std::string annotation_text(const std::vector<std::string>& keys);

/// Changes `service` as read by get_service(), or fails with kStatusConflict if it has changed
/// since. Returns it as it is then. Errors: as call_api().
Result<ServiceObject> patch_topology_keys(Api& api, const ServiceObject& service,
                                          const KeysChange& change);

}  // namespace topolb::kube
