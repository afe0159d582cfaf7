// SPDX-License-Identifier: Apache-2.0
// HTTP as the API client needs it: one request, its response's body handed over piece by piece as
// it arrives, deadlines that also hold while a body trickles in, and cancellation at any moment.
// This interface keeps cpprestsdk in one file and lets tests script a server.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "util/result.h"

namespace topolb::kube {

/// How the server proves itself, and we to it. All PEM. Equal settings may share connections.
struct TlsSettings {
  std::string ca_pem;           // empty: the system's authorities
  std::string certificate_pem;  // with its chain; empty: no client certificate
  std::string key_pem;
  std::string server_name;  // checked and sent as SNI instead of the URL's host; empty: that host
  bool insecure = false;    // no check of the server's certificate
  bool operator==(const TlsSettings&) const = default;
};

struct Deadlines {
  std::chrono::milliseconds connect{5000};    // name, TCP, TLS, and the request sent
  std::chrono::milliseconds response{30000};  // from then to the response's head
  std::chrono::milliseconds idle{30000};      // between two pieces of the body
};

struct HttpRequest {
  std::string method = "GET";
  std::string server;  // "https://10.0.0.1:6443", with a path if the API has a prefix
  std::string target;  // path and query, percent-encoded
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  TlsSettings tls;
  std::string proxy;  // "http://[user:password@]host:port"; empty: none
  Deadlines deadlines;
};

struct HttpResponse {
  int status = 0;
  std::optional<std::chrono::seconds> retry_after;
  /// Of answers other than 2xx: the first 64 KiB of the body. The sink sees 2xx bodies only.
  std::string error_body;
  /// The sink said stop before the body's end.
  bool stopped_by_sink = false;
};

/// Called on the thread that called send(), with decompressed bytes. False: no more, please.
using BodySink = std::function<bool(std::string_view)>;

class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  /// Blocks until the body's end, a sink that says stop, a deadline, an error or `stop`, which
  /// returns at once. A body that ends early is an error. Thread-safe.
  /// Errors: errc::timed_out (a deadline), errc::operation_canceled (`stop`), else
  /// without a code; `what` names stage and server.
  virtual Result<HttpResponse> send(const HttpRequest& request, const BodySink& sink,
                                    std::stop_token stop) = 0;
};

/// HTTP/1.1 over TLS by cpprestsdk; gzip accepted; TCP keepalive on every connection.
std::unique_ptr<Transport> make_transport();

}  // namespace topolb::kube
