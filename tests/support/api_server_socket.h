// SPDX-License-Identifier: Apache-2.0
// TLS on plain blocking sockets, for the test API server: a listener with a thread for each
// connection, all of which can be broken off from outside.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "api_server_certificates.h"
#include "util/unique_fd.h"

namespace topolb::test {

class TlsConnection {
 public:
  TlsConnection(UniqueFd socket, SSL_CTX* context);

  /// Before anything else; closed if that fails.
  void shake_hands();

  /// Up to and without CRLF. None: the connection is gone.
  std::optional<std::string> read_line();
  std::optional<std::string> read_bytes(std::size_t count);
  /// False: the connection is gone.
  bool write(std::string_view bytes);
  /// From any thread: no close_notify, just gone, as a killed process leaves it.
  void break_off();
  /// Neither side has left.
  [[nodiscard]] bool is_open() const;

 private:
  bool fill();

  UniqueFd socket_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  std::atomic<bool> open_ = true;
  std::string buffer_;
};

class TlsListener {
 public:
  using Handler = std::function<void(TlsConnection&)>;

  /// On 127.0.0.1; port 0: any. `client_authority_pem`: clients must have its certificate.
  TlsListener(std::uint16_t port, const KeyPair& identity, const std::string& client_authority_pem,
              Handler handler);
  TlsListener(const TlsListener&) = delete;
  TlsListener& operator=(const TlsListener&) = delete;
  /// Breaks every connection off.
  ~TlsListener();

  [[nodiscard]] std::uint16_t port() const { return port_; }
  void break_off_all();

 private:
  void accept_loop();
  void serve(UniqueFd socket);

  Handler handler_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  std::uint16_t port_;
  UniqueFd socket_;  // sets port_
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::list<std::shared_ptr<TlsConnection>> connections_;
  std::list<std::jthread> threads_;
  std::jthread acceptor_;
};

}  // namespace topolb::test
