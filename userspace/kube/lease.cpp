// SPDX-License-Identifier: Apache-2.0
#include "kube/lease.h"

#include <fmt/format.h>

#include "kube/api_call.h"
#include "kube/json_read.h"
#include "kube/json_text.h"
#include "kube/resource.h"

namespace topolb::kube {
namespace {

constexpr const char* kLeases = "/apis/coordination.k8s.io/v1";

Lease decode_lease(const std::string& json) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (parser.parse(json).get(root) != simdjson::SUCCESS) return {};
  const auto spec = root["spec"];
  return {.holder = text_or_empty(spec["holderIdentity"]),
          .duration = std::chrono::seconds(number_or_zero(spec["leaseDurationSeconds"])),
          .acquired = text_or_empty(spec["acquireTime"]),
          .renewed = text_or_empty(spec["renewTime"]),
          .transitions = number_or_zero(spec["leaseTransitions"]),
          .resource_version = text_or_empty(root["metadata"]["resourceVersion"])};
}

std::string text_or_null(const std::string& text) {
  return text.empty() ? "null" : json_text(text);
}

std::string spec_json(const Lease& lease) {
  return fmt::format(R"({{"holderIdentity":{},"leaseDurationSeconds":{},"acquireTime":{},)"
                     R"("renewTime":{},"leaseTransitions":{}}})",
                     text_or_null(lease.holder), lease.duration.count(),
                     text_or_null(lease.acquired), text_or_null(lease.renewed), lease.transitions);
}

}  // namespace

Result<std::optional<Lease>> get_lease(Api& api, const core::ObjectKey& key,
                                       const std::stop_token& stop) {
  ApiRequest request;
  // 0: whatever the server has at hand. What is written names the version that it was read at.
  request.target = make_target(object_path(kLeases, key.namespace_name, "leases", key.name),
                               {{"resourceVersion", "0"}});
  const auto json = call_api(api, request, stop);
  if (json) return std::optional(decode_lease(*json));
  if (api_status_of(json.error()) == kStatusNotFound) return std::optional<Lease>();
  return json.error();
}

Result<Lease> write_lease(Api& api, const core::ObjectKey& key, const Lease& lease,
                          const std::stop_token& stop) {
  ApiRequest request;
  if (lease.resource_version.empty()) {
    request.method = "POST";
    request.target = object_path(kLeases, key.namespace_name, "leases");
    request.content_type = kJsonBody;
    request.body =
        fmt::format(R"({{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":)"
                    R"({{"namespace":{},"name":{}}},"spec":{}}})",
                    json_text(key.namespace_name), json_text(key.name), spec_json(lease));
  } else {
    request.method = "PATCH";  // not PUT: labels that others have put on it stay
    request.target = object_path(kLeases, key.namespace_name, "leases", key.name);
    request.content_type = kMergePatchBody;
    request.body = fmt::format(R"({{"metadata":{{"resourceVersion":{}}},"spec":{}}})",
                               json_text(lease.resource_version), spec_json(lease));
  }
  const auto json = call_api(api, request, stop);
  if (!json) return json.error();
  return decode_lease(*json);
}

}  // namespace topolb::kube
