// SPDX-License-Identifier: Apache-2.0
// One request to a server on loopback, on a connection of its own that the calling thread makes:
// the agent's HTTP client makes its connections on threads that stay in the network namespace they
// began in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace topolb::kube {

struct PlainRequest {
  std::uint16_t port = 0;
  bool tls = true;  // whoever answers is believed
  std::string method = "GET";
  std::string target;
  std::vector<std::string> headers;  // "Authorization: Bearer x"
  std::string body;
};

struct PlainAnswer {
  int status = 0;  // 0: none
  std::string body;
};

PlainAnswer ask(const PlainRequest& request);

}  // namespace topolb::kube
