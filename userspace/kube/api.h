// SPDX-License-Identifier: Apache-2.0
// The Kubernetes API as its users here see it: requests by path; servers, credentials and
// failover are the implementation's (api_client.h).
#pragma once

#include <string>

#include "kube/transport.h"

namespace topolb::kube {

struct ApiRequest {
  std::string method = "GET";
  std::string target;  // path and query: "/api/v1/services?limit=500"
  std::string accept = "application/json";
  std::string content_type;
  std::string body;
  Deadlines deadlines;
};

class Api {
 public:
  Api() = default;
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;
  virtual ~Api() = default;

  /// As Transport::send. Thread-safe.
  virtual Result<HttpResponse> send(const ApiRequest& request, const BodySink& sink,
                                    std::stop_token stop) = 0;
};

}  // namespace topolb::kube
