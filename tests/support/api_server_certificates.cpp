// SPDX-License-Identifier: Apache-2.0
#include "api_server_certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <atomic>

namespace topolb::test {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

constexpr long kValidSeconds = 3600;

Key new_key() { return {EVP_EC_gen("P-256"), EVP_PKEY_free}; }

Certificate new_certificate(const std::string& common_name, EVP_PKEY* key) {
  static std::atomic<long> serial = 1;
  Certificate certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kValidSeconds);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
  X509_set_pubkey(certificate.get(), key);
  return certificate;
}

void add_extension(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

std::string text_of(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string pem_of(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_X509(bio.get(), certificate);
  return text_of(bio);
}

std::string pem_of(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(bio);
}

}  // namespace

struct CertificateAuthority::Signer {
  Key key = new_key();
  Certificate certificate = new_certificate("test authority", key.get());

  [[nodiscard]] KeyPair issue(const std::string& common_name, const std::string& names,
                              const std::string& usage) const {
    const Key own_key = new_key();
    const Certificate issued = new_certificate(common_name, own_key.get());
    X509_set_issuer_name(issued.get(), X509_get_subject_name(certificate.get()));
    if (!names.empty()) {
      add_extension(issued.get(), certificate.get(), NID_subject_alt_name, names);
    }
    add_extension(issued.get(), certificate.get(), NID_ext_key_usage, usage);
    X509_sign(issued.get(), key.get(), EVP_sha256());
    return {pem_of(issued.get()), pem_of(own_key.get())};
  }
};

CertificateAuthority::CertificateAuthority() : signer_(std::make_unique<Signer>()) {
  X509* certificate = signer_->certificate.get();
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign");
  X509_sign(certificate, signer_->key.get(), EVP_sha256());
}

CertificateAuthority::~CertificateAuthority() = default;

std::string CertificateAuthority::certificate_pem() const {
  return pem_of(signer_->certificate.get());
}

KeyPair CertificateAuthority::issue_server(const std::string& names) const {
  return signer_->issue("test server", names, "serverAuth");
}

KeyPair CertificateAuthority::issue_client(const std::string& user) const {
  return signer_->issue(user, "", "clientAuth");
}

}  // namespace topolb::test
