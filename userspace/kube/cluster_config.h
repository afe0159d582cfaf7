// SPDX-License-Identifier: Apache-2.0
// Where the API server is and who we are to it: what kubeconfig files, a pod's service account
// and flags come down to.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "util/result.h"

namespace topolb::kube {

/// Given in place, or as a file that is read anew for each use, so that rotation is followed.
struct Material {
  std::string data;
  std::string file;  // wins over data
  [[nodiscard]] bool empty() const { return data.empty() && file.empty(); }
  bool operator==(const Material&) const = default;
};

/// A program that prints credentials. Source: client.authentication.k8s.io/v1, v1beta1.
struct ExecPlugin {
  std::string api_version;
  std::string command;
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::string>> env;
  std::string install_hint;
  bool provide_cluster_info = false;
  bool operator==(const ExecPlugin&) const = default;
};

struct ClusterConfig {
  std::vector<std::string> servers;  // "https://host:port", in order of preference
  Material certificate_authority;    // PEM; empty: the system's
  Material client_certificate;       // PEM
  Material client_key;               // PEM
  Material token;
  std::optional<ExecPlugin> exec;
  std::string tls_server_name;
  std::string proxy_url;
  bool insecure_skip_tls_verify = false;
  bool operator==(const ClusterConfig&) const = default;
};

/// A variable's value, "" if it is not set.
using Environment = std::function<std::string(const std::string&)>;
Environment process_environment();

/// A pod's service account. Error: not in a pod (which variable is missing).
Result<ClusterConfig> in_cluster_config(const Environment& environment);

/// The namespace of the pod that this is; kube-system where it is in none.
std::string own_namespace();

/// "https://host[:port][/path]" or http. Error: one line with the URL.
Result<void> check_server_url(const std::string& url);

/// The proxy to reach `server` by: proxy-url, else HTTPS_PROXY or HTTP_PROXY (in either case)
/// unless NO_PROXY (hosts, domains, addresses, CIDRs, `*`) or loopback excludes it. "": none.
std::string choose_proxy(const ClusterConfig& config, const std::string& server,
                         const Environment& environment);

}  // namespace topolb::kube
