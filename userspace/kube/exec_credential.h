// SPDX-License-Identifier: Apache-2.0
// What is said between a client and an exec credential plugin. Pure.
// Source: client.authentication.k8s.io/v1 ExecCredential.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "kube/cluster_config.h"

namespace topolb::kube {

struct ExecCredential {
  std::string token;
  std::string certificate_pem;
  std::string key_pem;
  std::optional<std::chrono::system_clock::time_point> expires;
};

/// The value of KUBERNETES_EXEC_INFO. `ca_pem`: told if the plugin asks for the cluster.
std::string exec_info_json(const ExecPlugin& plugin, const ClusterConfig& config,
                           const std::string& ca_pem);

/// What the plugin printed. Error: no ExecCredential of the plugin's apiVersion, or one with
/// nothing in it; names the plugin.
Result<ExecCredential> parse_exec_credential(std::string_view json, const ExecPlugin& plugin);

}  // namespace topolb::kube
