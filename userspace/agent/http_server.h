// SPDX-License-Identifier: Apache-2.0
// A small HTTP server for probes and scrapers: GET only, one answer per connection, IPv4 and IPv6.
// (cpprestsdk's listener takes no IPv6 address.)
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "util/ip.h"
#include "util/result.h"

namespace topolb::agent {

struct HttpReply {
  int status = 200;
  std::string content_type;
  std::string body;
};

/// Serves from a thread of its own until destroyed. A client that is slow holds up nobody, and is
/// cut off after some seconds.
class HttpServer {
 public:
  /// Called in the server's thread, with a path without query.
  using Handler = std::function<HttpReply(std::string_view path)>;

  /// Error: can't listen there.
  static Result<HttpServer> start(const SocketAddress& address, Handler handler);
  HttpServer(HttpServer&&) noexcept;
  HttpServer& operator=(HttpServer&&) noexcept;
  ~HttpServer();

 private:
  class Thread;
  explicit HttpServer(std::unique_ptr<Thread> thread);
  std::unique_ptr<Thread> thread_;
};

}  // namespace topolb::agent
