// SPDX-License-Identifier: Apache-2.0
#include "kube/cluster_config.h"

#include <fmt/format.h>

#include <cstdlib>

#include "kube/file_text.h"
#include "kube/server_url.h"

namespace topolb::kube {
namespace {

constexpr const char* kServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/";

std::string first_set(const Environment& environment, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (std::string value = environment(name); !value.empty()) return value;
  }
  return {};
}

}  // namespace

Environment process_environment() {
  return [](const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return std::string(value != nullptr ? value : "");
  };
}

Result<ClusterConfig> in_cluster_config(const Environment& environment) {
  const std::string host = environment("KUBERNETES_SERVICE_HOST");
  const std::string port = environment("KUBERNETES_SERVICE_PORT");
  if (host.empty() || port.empty()) {
    return make_error(
        fmt::format("in-cluster credentials: {} is not set: not in a pod?",
                    host.empty() ? "KUBERNETES_SERVICE_HOST" : "KUBERNETES_SERVICE_PORT"));
  }
  ClusterConfig config;
  const bool is_ipv6 = host.find(':') != std::string::npos;
  config.servers = {is_ipv6 ? fmt::format("https://[{}]:{}", host, port)
                            : fmt::format("https://{}:{}", host, port)};
  config.token.file = std::string(kServiceAccount) + "token";
  config.certificate_authority.file = std::string(kServiceAccount) + "ca.crt";
  return config;
}

std::string own_namespace() {
  const auto text = read_text_file(std::string(kServiceAccount) + "namespace", "namespace");
  return text && !text->empty() ? *text : "kube-system";
}

Result<void> check_server_url(const std::string& url) {
  const auto parts = parse_server_url(url);
  if (!parts) return parts.error();
  return {};
}

std::string choose_proxy(const ClusterConfig& config, const std::string& server,
                         const Environment& environment) {
  if (!config.proxy_url.empty()) return config.proxy_url;
  const auto url = parse_server_url(server);
  if (!url || url->is_loopback()) return {};
  if (is_excluded(*url, first_set(environment, {"NO_PROXY", "no_proxy"}))) return {};
  std::string proxy = url->https ? first_set(environment, {"HTTPS_PROXY", "https_proxy"})
                                 : first_set(environment, {"HTTP_PROXY", "http_proxy"});
  if (!proxy.empty() && proxy.find("://") == std::string::npos) proxy = "http://" + proxy;
  return proxy;
}

}  // namespace topolb::kube
