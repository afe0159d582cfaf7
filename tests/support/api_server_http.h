// SPDX-License-Identifier: Apache-2.0
// The little of HTTP/1.1 that the test API server speaks, and where answers go wrong on command.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "api_server_socket.h"

namespace topolb::test {

struct ServerRequest {
  std::string method;
  std::string target;
  std::string version;  // "HTTP/1.0": the connection ends after the answer
  std::string path;
  std::map<std::string, std::string> query;    // decoded
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;

  [[nodiscard]] std::string parameter(const std::string& name) const;
  [[nodiscard]] std::string header(const std::string& name) const;
};

/// None: the connection has ended, or that was no HTTP.
std::optional<ServerRequest> read_request(TlsConnection& connection);

std::string gzip(const std::string& text);

/// How the body is to suffer.
struct BodyFault {
  std::optional<std::size_t> cut;  // after that many bytes
  bool stall = false;              // there: silence until the connection ends
  std::chrono::microseconds per_byte{};
};

/// One response. Every function is false once the connection is gone or the fault has struck.
class ResponseWriter {
 public:
  ResponseWriter(TlsConnection& connection, BodyFault fault)
      : connection_(connection), fault_(fault) {}

  /// A whole response.
  bool send(int status, const std::string& body, const std::string& extra_header = "");
  /// A chunked one: head, pieces, end.
  bool begin();
  bool piece(std::string_view bytes);
  bool end();
  [[nodiscard]] bool is_open() const { return connection_.is_open(); }

 private:
  bool body(std::string_view bytes);
  void strike();

  TlsConnection& connection_;
  BodyFault fault_;
  std::size_t sent_ = 0;
};

}  // namespace topolb::test
