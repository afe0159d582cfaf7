// SPDX-License-Identifier: Apache-2.0
// OpenSSL set up from TlsSettings: trust, client certificate, who the server must be.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "kube/transport.h"

using SSL_CTX = struct ssl_ctx_st;

namespace topolb::kube {

/// Why the last certificate of a server was refused; written during handshakes. Thread-safe.
class TlsVerdict {
 public:
  void set(std::string reason);
  [[nodiscard]] std::string get() const;

 private:
  mutable std::mutex mutex_;
  std::string reason_;
};

/// Settings bound to the host that is dialled (the name to check unless server_name is set).
struct TlsPeer {
  TlsSettings settings;
  std::string host;  // DNS name or IP address, without brackets
  std::shared_ptr<TlsVerdict> verdict;
};

/// Loads `peer` into `context`, which keeps it until it is freed. The check of the server's
/// certificate (chain, and DNS name or IP address) replaces whatever the caller's library does.
/// Errors name the PEM that OpenSSL could not read.
Result<void> configure_tls(SSL_CTX* context, std::shared_ptr<const TlsPeer> peer);

/// The same on a context of its own: whether `settings` are usable at all.
Result<void> check_tls_settings(const TlsSettings& settings);

}  // namespace topolb::kube
