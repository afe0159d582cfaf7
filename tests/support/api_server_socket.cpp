// SPDX-License-Identifier: Apache-2.0
#include "api_server_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>

#include "api_server_cable.h"

namespace topolb::test {
namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

Bio memory_bio(const std::string& text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free};
}

Certificate read_certificate(const std::string& pem) {
  return {PEM_read_bio_X509(memory_bio(pem).get(), nullptr, nullptr, nullptr), X509_free};
}

void load_identity(SSL_CTX* context, const KeyPair& identity) {
  SSL_CTX_use_certificate(context, read_certificate(identity.certificate_pem).get());
  EVP_PKEY* key =
      PEM_read_bio_PrivateKey(memory_bio(identity.key_pem).get(), nullptr, nullptr, nullptr);
  SSL_CTX_use_PrivateKey(context, key);
  EVP_PKEY_free(key);
}

void require_clients(SSL_CTX* context, const std::string& authority_pem) {
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context), read_certificate(authority_pem).get());
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

}  // namespace

TlsConnection::TlsConnection(UniqueFd socket, SSL_CTX* context)
    : socket_(std::move(socket)), ssl_(SSL_new(context), SSL_free) {
  SSL_set_fd(ssl_.get(), socket_.get());
}

void TlsConnection::shake_hands() {
  if (SSL_accept(ssl_.get()) != 1) break_off();
}

bool TlsConnection::fill() {
  std::array<char, 4096> bytes;
  const int count = SSL_read(ssl_.get(), bytes.data(), bytes.size());
  if (count <= 0) {
    open_ = false;
    return false;
  }
  buffer_.append(bytes.data(), static_cast<std::size_t>(count));
  return true;
}

std::optional<std::string> TlsConnection::read_line() {
  auto end = buffer_.find("\r\n");
  while (end == std::string::npos) {
    if (!fill()) return std::nullopt;
    end = buffer_.find("\r\n");
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return line;
}

std::optional<std::string> TlsConnection::read_bytes(std::size_t count) {
  while (buffer_.size() < count) {
    if (!fill()) return std::nullopt;
  }
  std::string bytes = buffer_.substr(0, count);
  buffer_.erase(0, count);
  return bytes;
}

bool TlsConnection::write(std::string_view bytes) {
  if (!open_) return false;
  if (bytes.empty()) return true;
  if (SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) <= 0) open_ = false;
  return open_;
}

bool TlsConnection::is_open() const {
  pollfd left{socket_.get(), POLLRDHUP, 0};
  return open_ && poll(&left, 1, 0) == 0;
}

void TlsConnection::break_off() {
  open_ = false;
  shutdown(socket_.get(), SHUT_RDWR);
}

TlsListener::TlsListener(std::uint16_t port, const KeyPair& identity,
                         const std::string& client_authority_pem, Handler handler)
    : handler_(std::move(handler)),
      context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free),
      port_(port),
      socket_(listen_on_loopback(port_)) {
  load_identity(context_.get(), identity);
  if (!client_authority_pem.empty()) require_clients(context_.get(), client_authority_pem);
  acceptor_ = std::jthread([this] { accept_loop(); });
}

TlsListener::~TlsListener() {
  stopping_ = true;
  shutdown(socket_.get(), SHUT_RDWR);
  acceptor_.join();
  break_off_all();
  threads_.clear();  // joins
}

void TlsListener::accept_loop() {
  while (!stopping_) {
    UniqueFd accepted(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!accepted) continue;
    const int on = 1;
    setsockopt(accepted.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    threads_.emplace_back([this, fd = accepted.release()] { serve(UniqueFd(fd)); });
  }
}

void TlsListener::serve(UniqueFd socket) {
  auto connection = std::make_shared<TlsConnection>(std::move(socket), context_.get());
  {
    const std::lock_guard lock(mutex_);
    connections_.push_back(connection);
  }
  // From here on it can be broken off, in the handshake, too.
  if (stopping_) connection->break_off();
  connection->shake_hands();
  if (connection->is_open()) handler_(*connection);
  connection->break_off();
  const std::lock_guard lock(mutex_);
  connections_.remove(connection);
}

void TlsListener::break_off_all() {
  const std::lock_guard lock(mutex_);
  for (const auto& connection : connections_) connection->break_off();
}

}  // namespace topolb::test
