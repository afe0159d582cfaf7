// SPDX-License-Identifier: Apache-2.0
// A small HTTP server for probes and scrapers: every method is answered as GET, one answer per
// connection, IPv4 and IPv6. (cpprestsdk's listener takes no IPv6 address.)
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "util/ip.h"
#include "util/result.h"

namespace topolb::agent {

struct HttpReply {
  int status = 200;
  std::string content_type;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers = {};  // more of them
};

/// Serves any number of addresses from one thread of its own until destroyed. A client that is slow
/// holds up nobody, and is cut off after some seconds.
class HttpServer {
 public:
  /// Called in the server's thread, with a path without query.
  using Handler = std::function<HttpReply(std::string_view path)>;

  /// Listens nowhere yet. Error: no descriptors are left.
  static Result<HttpServer> start();
  HttpServer(HttpServer&&) noexcept;
  HttpServer& operator=(HttpServer&&) noexcept;
  ~HttpServer();

  /// Whether a server on :: answers IPv4, too.
  enum class Families : std::uint8_t { Both, OwnOnly };
  /// Error: can't listen there; it begins with the address.
  Result<void> listen(const SocketAddress& address, Handler handler,
                      Families families = Families::Both);
  /// Who has connected already is still answered.
  void stop_listening(const SocketAddress& address);

 private:
  class Thread;
  explicit HttpServer(std::unique_ptr<Thread> thread);
  std::unique_ptr<Thread> thread_;
};

}  // namespace topolb::agent
