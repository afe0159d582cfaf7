// SPDX-License-Identifier: Apache-2.0
// etcd and kube-apiserver on loopback ports, with their files in a directory of their own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "api_server_certificates.h"
#include "plain_http.h"
#include "test_cluster.h"

namespace topolb::kube {

/// The directory with kube-apiserver, etcd and kubectl: KUBEBUILDER_ASSETS, the convention of
/// envtest. "": it is not set.
std::string kubernetes_assets();
/// Of somebody called "user", who may nothing by himself.
inline constexpr const char* kUserToken = "test-user";
/// That directory, or nothing: the parameters of a test that takes a real cluster.
std::vector<std::string> real_clusters();

class RealCluster final : public TestCluster {
 public:
  /// Throws std::runtime_error, with what lacks or with the server's last words.
  explicit RealCluster(std::string assets);
  ~RealCluster() override;

  [[nodiscard]] ClusterConfig config() const override { return config_on(cable_->port()); }
  std::string rotate_token() override;
  void refuse_slices(bool refuse) override;
  void put(const web::json::value& object) override;
  void remove(const std::string& kind, const std::string& name_space,
              const std::string& name) override;
  void stop() override;
  void start() override;
  void forget_history() override;

  /// What a request as administrator is answered, not over the cable. PATCH: a merge patch.
  [[nodiscard]] PlainAnswer send(const std::string& method, const std::string& target,
                                 const std::string& body = "") const;

 private:
  class Process;
  class Directory;

  [[nodiscard]] ClusterConfig config_on(std::uint16_t port) const;
  void write_files() const;
  [[nodiscard]] std::vector<std::string> api_server_arguments() const;
  void compact_etcd() const;

  std::string assets_;
  std::uint16_t etcd_port_;
  std::uint16_t api_port_;
  std::unique_ptr<Directory> directory_;  // outlives those who write to it
  test::CertificateAuthority authority_;
  std::unique_ptr<Process> etcd_;
  std::unique_ptr<Process> api_server_;
  int tokens_ = 0;  // so far
};

}  // namespace topolb::kube
