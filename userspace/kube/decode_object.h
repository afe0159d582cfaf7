// SPDX-License-Identifier: Apache-2.0
// The body of one object of each kind, once its identity is known. Internal to the decoder.
#pragma once

#include <optional>

#include "core/model.h"
#include "kube/decode_fields.h"

namespace topolb::kube {

/// None: topolb does not serve it (design.md 3.1). What is wrong in the object goes to its sink.
std::optional<core::Service> decode_service(const Fields& object, const core::ObjectKey& key);
std::optional<core::EndpointSlice> decode_slice(const Fields& object, const core::ObjectKey& key);
core::Node decode_node(const Fields& object, const std::string& name);

}  // namespace topolb::kube
