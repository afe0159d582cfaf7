// SPDX-License-Identifier: Apache-2.0
// A certificate authority for one test run: it signs what the test asks for.
#pragma once

#include <memory>
#include <string>

namespace topolb::test {

struct KeyPair {
  std::string certificate_pem;
  std::string key_pem;
};

class CertificateAuthority {
 public:
  CertificateAuthority();
  ~CertificateAuthority();
  CertificateAuthority(const CertificateAuthority&) = delete;
  CertificateAuthority& operator=(const CertificateAuthority&) = delete;

  [[nodiscard]] std::string certificate_pem() const;
  /// For a server; `names` as OpenSSL writes them: "DNS:localhost,IP:127.0.0.1".
  [[nodiscard]] KeyPair issue_server(const std::string& names) const;
  /// For a client called `user`.
  [[nodiscard]] KeyPair issue_client(const std::string& user) const;

 private:
  struct Signer;
  std::unique_ptr<Signer> signer_;
};

}  // namespace topolb::test
