// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "util/unique_fd.h"

namespace topolb::test {

struct HttpAnswer {
  int status = 0;    // 0: nobody listens, or what came back was no HTTP
  std::string head;  // status line and headers
  std::string body;
};

/// A connection to "127.0.0.1:80" or "[::1]:80"; none: nobody listens.
UniqueFd http_connect(const std::string& server);

/// One request on a connection of its own.
HttpAnswer http_get(const std::string& server, const std::string& path,
                    const std::string& method = "GET");

}  // namespace topolb::test
