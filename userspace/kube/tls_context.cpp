// SPDX-License-Identifier: Apache-2.0
#include "kube/tls_context.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "util/ip.h"

namespace topolb::kube {
namespace {

struct BioDeleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct CertificateDeleter {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct KeyDeleter {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct ContextDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Bio = std::unique_ptr<BIO, BioDeleter>;
using Certificate = std::unique_ptr<X509, CertificateDeleter>;
using Key = std::unique_ptr<EVP_PKEY, KeyDeleter>;
using PeerHolder = std::shared_ptr<const TlsPeer>;

Bio memory_bio(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Error tls_error(const std::string& what) {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return make_error(reason != nullptr ? what + ": " + reason : what);
}

/// A key with a password would make OpenSSL ask on the terminal.
int no_password(char*, int, int, void*) { return -1; }

Result<void> load_authorities(SSL_CTX* context, const std::string& pem) {
  X509_STORE* store = X509_STORE_new();  // owned by the context from here on
  SSL_CTX_set_cert_store(context, store);
  const Bio bio = memory_bio(pem);
  std::size_t count = 0;
  while (
      const Certificate certificate{PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr)}) {
    X509_STORE_add_cert(store, certificate.get());
    ++count;
  }
  if (count == 0) return tls_error("read the certificate authority: no PEM certificate in it");
  ERR_clear_error();  // the end of the file is one
  return {};
}

Result<void> load_client_certificate(SSL_CTX* context, const TlsSettings& settings) {
  const Bio bio = memory_bio(settings.certificate_pem);
  const Certificate leaf{PEM_read_bio_X509_AUX(bio.get(), nullptr, no_password, nullptr)};
  if (!leaf || SSL_CTX_use_certificate(context, leaf.get()) != 1) {
    return tls_error("read the client certificate");
  }
  while (Certificate next{PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr)}) {
    if (SSL_CTX_add_extra_chain_cert(context, next.get()) == 1) {
      [[maybe_unused]] X509* owned_by_context = next.release();
    }
  }
  ERR_clear_error();
  const Bio key_bio = memory_bio(settings.key_pem);
  const Key key{PEM_read_bio_PrivateKey(key_bio.get(), nullptr, no_password, nullptr)};
  if (!key) return tls_error("read the client key");
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return tls_error("the client key does not fit the client certificate");
  }
  return {};
}

void free_peer(void*, void* holder, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<PeerHolder*>(holder);
}

int peer_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_peer);
  return index;
}

/// Replaces X509_verify_cert: sets who the server must be, then calls it. cpprestsdk's own
/// check knows neither tls-server-name nor IPv6 addresses, and says nothing about why.
int verify_server(X509_STORE_CTX* store_context, void*) {
  const auto* ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(store_context, SSL_get_ex_data_X509_STORE_CTX_idx()));
  const SSL_CTX* context = SSL_get_SSL_CTX(ssl);
  const auto& peer = **static_cast<PeerHolder*>(SSL_CTX_get_ex_data(context, peer_index()));
  if (peer.settings.insecure) return 1;
  const std::string& name =
      peer.settings.server_name.empty() ? peer.host : peer.settings.server_name;
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(store_context);
  if (IpAddress::parse(name)) {
    X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str());
  } else {
    X509_VERIFY_PARAM_set1_host(parameters, name.c_str(), name.size());
  }
  X509_STORE_CTX_set_verify_cb(store_context, [](int ok, X509_STORE_CTX*) { return ok; });
  const int ok = X509_verify_cert(store_context);
  if (ok != 1) {
    peer.verdict->set(std::string("server certificate for '") + name + "': " +
                      X509_verify_cert_error_string(X509_STORE_CTX_get_error(store_context)));
  }
  return ok;
}

}  // namespace

void TlsVerdict::set(std::string reason) {
  const std::lock_guard lock(mutex_);
  reason_ = std::move(reason);
}

std::string TlsVerdict::get() const {
  const std::lock_guard lock(mutex_);
  return reason_;
}

Result<void> configure_tls(SSL_CTX* context, PeerHolder peer) {
  ERR_clear_error();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  const TlsSettings& settings = peer->settings;
  if (!settings.ca_pem.empty()) {
    if (auto loaded = load_authorities(context, settings.ca_pem); !loaded) return loaded;
  }
  if (!settings.certificate_pem.empty()) {
    if (auto loaded = load_client_certificate(context, settings); !loaded) return loaded;
  }
  SSL_CTX_set_cert_verify_callback(context, verify_server, nullptr);
  SSL_CTX_set_ex_data(context, peer_index(), new PeerHolder(std::move(peer)));
  return {};
}

Result<void> check_tls_settings(const TlsSettings& settings) {
  const std::unique_ptr<SSL_CTX, ContextDeleter> context(SSL_CTX_new(TLS_client_method()));
  auto peer = std::make_shared<TlsPeer>();
  peer->settings = settings;
  peer->verdict = std::make_shared<TlsVerdict>();
  return configure_tls(context.get(), std::move(peer));
}

}  // namespace topolb::kube
