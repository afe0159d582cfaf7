// SPDX-License-Identifier: Apache-2.0
// Single objects of the test API server: GET, POST, PUT, PATCH (merge patches) and DELETE, with
// the conflicts of Kubernetes: a resourceVersion in what is written is a precondition.
#pragma once

#include <optional>
#include <string>

#include "api_server_http.h"
#include "api_server_store.h"

namespace topolb::test {

struct ObjectAnswer {
  int status = 200;
  std::string body;
};

/// The Status object of a refusal.
std::string status_json(int code, const std::string& reason, const std::string& message);

/// None: the path is none of a single object, nor of a collection that is written to.
std::optional<ObjectAnswer> answer_object(ApiServerStore& store, const ServerRequest& request);

}  // namespace topolb::test
