// SPDX-License-Identifier: Apache-2.0
// An API server for tests: HTTPS on loopback with the list and watch semantics of Kubernetes
// (pages, resourceVersions, bookmarks, streamed lists, selectors, compaction), and faults on
// command. Serves Services, EndpointSlices, Nodes (as metadata where asked for so), /version, and
// single objects, Events and Leases, too, to read and write.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api_server_certificates.h"
#include "api_server_http.h"
#include "api_server_socket.h"
#include "api_server_store.h"

namespace topolb::test {

/// What happens to the next requests whose target holds `target`.
struct Fault {
  std::string target;
  unsigned times = 1;
  int status = 0;           // answered instead of the truth, if not 0
  std::string body = {};    // with it
  std::string header = {};  // with it: "Retry-After: 1"
  std::optional<std::size_t> cut =
      {};              // the body ends after that many bytes, as a broken line does
  bool stall = false;  // instead of breaking off there: silence
  std::chrono::microseconds per_byte{};  // the body comes byte by byte
  std::string first_line = {};           // of a watch: sent before the truth
};

struct ApiServerOptions {
  std::string token;  // "" = anybody
  bool needs_client_certificate = false;
  std::string minor = "34";     // of /version
  bool streams_lists = true;    // refused with 422 if not
  bool gone_as_status = false;  // 410 as the status of a watch, not as an event in it
  bool gzip = false;            // lists, for clients that accept it
  std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";  // in the certificate
};

class ApiServer {
 public:
  explicit ApiServer(ApiServerOptions options = {});
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  [[nodiscard]] std::string url() const;
  [[nodiscard]] const CertificateAuthority& authority() const { return authority_; }
  ApiServerStore& store() { return store_; }

  void set_token(const std::string& token);
  void inject(Fault fault);
  /// No fault any more.
  void clear_faults();
  /// Every open connection, without a word.
  void break_connections();
  /// A bookmark on every watch now.
  void send_bookmarks();
  /// A line on every watch of a target that holds `target`.
  void send_line(const std::string& target, const std::string& line);
  void stop();
  /// On the same port; the objects are still there.
  void start();

  /// All requests so far that hold `part`: "GET /version".
  [[nodiscard]] std::vector<std::string> requests(const std::string& part = "") const;
  /// Watches open now whose targets hold `part`.
  [[nodiscard]] std::size_t watches(const std::string& part = "") const;

 private:
  struct OpenWatch;

  void handle(TlsConnection& connection);
  void answer(ResponseWriter& writer, const ServerRequest& request);
  void list(ResponseWriter& writer, const ServerRequest& request, const std::string& kind);
  void watch(ResponseWriter& writer, const ServerRequest& request, const std::string& kind);
  bool send_initial_events(ResponseWriter& writer, const ServerRequest& request,
                           const std::string& kind, std::uint64_t& ret_version);
  bool send_events(ResponseWriter& writer, const ServerRequest& request, const std::string& kind,
                   std::uint64_t& version);
  std::optional<Fault> take_fault(const ServerRequest& request);
  bool is_authorized(const ServerRequest& request) const;

  ApiServerOptions options_;
  CertificateAuthority authority_;
  KeyPair identity_;
  ApiServerStore store_;
  std::uint16_t port_ = 0;
  std::atomic<bool> running_ = false;
  mutable std::mutex mutex_;  // what follows
  std::vector<Fault> faults_;
  std::vector<std::string> requests_;
  std::vector<std::shared_ptr<OpenWatch>> watches_;
  std::unique_ptr<TlsListener> listener_;
};

}  // namespace topolb::test
