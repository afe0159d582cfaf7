// SPDX-License-Identifier: Apache-2.0
// One request to the Kubernetes API with one whole JSON answer: everything but lists and watches.
// What it means that the server refused is an error with the HTTP status as its code.
#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>

#include "kube/api.h"

namespace topolb::kube {

/// Content types of a PATCH. A merge patch that names metadata.resourceVersion is refused with 409
/// when the object has changed since.
inline constexpr const char* kJsonBody = "application/json";
inline constexpr const char* kMergePatchBody = "application/merge-patch+json";

inline constexpr int kStatusForbidden = 403;
inline constexpr int kStatusNotFound = 404;
inline constexpr int kStatusTooManyRequests = 429;
/// POST: there is such an object already. PUT, PATCH: it has changed since it was read.
inline constexpr int kStatusConflict = 409;

/// The codes of errors that are an answer: the HTTP status.
const std::error_category& api_status_category();
/// The HTTP status that the server refused with; 0: it did not answer.
int api_status_of(const Error& error);

/// The path of an object: object_path("/api/v1", "default", "services", "web"). An empty `name` is
/// the collection, an empty namespace an object of the cluster.
std::string object_path(std::string_view group_version, std::string_view namespace_name,
                        std::string_view resource, std::string_view name = {});

/// Sends `request` and returns the JSON object of a 2xx answer, unparsed but complete. An answer
/// 429 with Retry-After of up to some seconds (the server has not done it) and 401 (credentials
/// may just have been rotated) are tried again, a few times and once. Blocks; thread-safe.
/// Errors: an answer that is no success, with the Status object's message and a code of
/// api_status_category(); a 2xx that is no JSON object; else as Api::send. All name the method
/// and the path.
Result<std::string> call_api(Api& api, const ApiRequest& request, const std::stop_token& stop = {});

}  // namespace topolb::kube
