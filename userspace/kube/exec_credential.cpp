// SPDX-License-Identifier: Apache-2.0
#include "kube/exec_credential.h"

#include <fmt/format.h>
#include <simdjson.h>

#include "kube/base64.h"
#include "kube/json_text.h"
#include "kube/time_text.h"

namespace topolb::kube {
namespace {

std::string text_at(const simdjson::dom::object& object, std::string_view field) {
  std::string_view text;
  if (object[field].get_string().get(text) != simdjson::SUCCESS) return {};
  return std::string(text);
}

}  // namespace

std::string exec_info_json(const ExecPlugin& plugin, const ClusterConfig& config,
                           const std::string& ca_pem) {
  std::string cluster;
  if (plugin.provide_cluster_info) {
    cluster = fmt::format(R"(,"cluster":{{"server":{})", json_text(config.servers.front()));
    if (!ca_pem.empty()) {
      cluster += R"(,"certificate-authority-data":)" + json_text(base64_encode(ca_pem));
    }
    if (!config.tls_server_name.empty()) {
      cluster += R"(,"tls-server-name":)" + json_text(config.tls_server_name);
    }
    if (!config.proxy_url.empty()) cluster += R"(,"proxy-url":)" + json_text(config.proxy_url);
    if (config.insecure_skip_tls_verify) cluster += R"(,"insecure-skip-tls-verify":true)";
    cluster += "}";
  }
  return fmt::format(
      R"({{"kind":"ExecCredential","apiVersion":{},"spec":{{"interactive":false{}}}}})",
      json_text(plugin.api_version), cluster);
}

Result<ExecCredential> parse_exec_credential(std::string_view json, const ExecPlugin& plugin) {
  const auto wrong = [&plugin](const std::string& what) {
    return make_error(fmt::format("credential plugin {}: {}", plugin.command, what));
  };
  const simdjson::padded_string padded(json);
  simdjson::dom::parser parser;
  simdjson::dom::object root;
  if (parser.parse(padded).get_object().get(root) != simdjson::SUCCESS) {
    return wrong("printed no JSON object");
  }
  if (text_at(root, "kind") != "ExecCredential") return wrong("printed no ExecCredential");
  if (const std::string version = text_at(root, "apiVersion"); version != plugin.api_version) {
    return wrong(
        fmt::format("printed apiVersion '{}' where {} was asked for", version, plugin.api_version));
  }
  simdjson::dom::object status;
  if (root["status"].get_object().get(status) != simdjson::SUCCESS) return wrong("gave no status");
  ExecCredential credential{text_at(status, "token"), text_at(status, "clientCertificateData"),
                            text_at(status, "clientKeyData"), std::nullopt};
  if (credential.certificate_pem.empty() != credential.key_pem.empty()) {
    return wrong("gave one of clientCertificateData and clientKeyData only");
  }
  if (credential.token.empty() && credential.certificate_pem.empty()) {
    return wrong("gave neither token nor client certificate");
  }
  if (const std::string expires = text_at(status, "expirationTimestamp"); !expires.empty()) {
    credential.expires = parse_time(expires);
    if (!credential.expires) return wrong("expirationTimestamp '" + expires + "' is no time");
  }
  return credential;
}

}  // namespace topolb::kube
