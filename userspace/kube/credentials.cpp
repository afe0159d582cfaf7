// SPDX-License-Identifier: Apache-2.0
#include "kube/credentials.h"

#include "kube/file_text.h"

namespace topolb::kube {
namespace {

constexpr std::chrono::seconds kRenewBefore{10};

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) {
    text.pop_back();
  }
  return text;
}

}  // namespace

Credentials::World Credentials::real_world() {
  return {read_text_file, run_program, [] { return std::chrono::system_clock::now(); }};
}

Credentials::Credentials(ClusterConfig config, World world)
    : config_(std::move(config)), world_(std::move(world)) {}

Result<std::string> Credentials::read(const Material& material, const std::string& name) const {
  if (material.file.empty()) return material.data;
  auto text = world_.read_file(material.file, name);
  if (text && text->empty()) return make_error("read " + name + " " + material.file + ": empty");
  return text;
}

Result<void> Credentials::run_plugin(const std::string& ca_pem, const std::stop_token& stop) {
  if (from_plugin_ &&
      (!from_plugin_->expires || *from_plugin_->expires - kRenewBefore > world_.now())) {
    return {};
  }
  const ExecPlugin& plugin = *config_.exec;
  Program program;
  program.argv = {plugin.command};
  program.argv.insert(program.argv.end(), plugin.args.begin(), plugin.args.end());
  program.env = plugin.env;
  program.env.emplace_back("KUBERNETES_EXEC_INFO", exec_info_json(plugin, config_, ca_pem));
  const auto output = world_.run(program, stop);
  if (!output) {
    Error error = output.error();
    error.what = "credential plugin: " + error.what;
    if (!plugin.install_hint.empty()) error.what += " (" + plugin.install_hint + ")";
    return error;
  }
  auto credential = parse_exec_credential(*output, plugin);
  if (!credential) return credential.error();
  from_plugin_ = std::move(*credential);
  return {};
}

Result<Credential> Credentials::current(const std::stop_token& stop) {
  const std::lock_guard lock(mutex_);
  Credential credential;
  credential.tls.server_name = config_.tls_server_name;
  credential.tls.insecure = config_.insecure_skip_tls_verify;
  auto authority = read(config_.certificate_authority, "certificate-authority");
  if (!authority) return authority.error();
  credential.tls.ca_pem = std::move(*authority);
  auto certificate = read(config_.client_certificate, "client-certificate");
  if (!certificate) return certificate.error();
  credential.tls.certificate_pem = std::move(*certificate);
  auto key = read(config_.client_key, "client-key");
  if (!key) return key.error();
  credential.tls.key_pem = std::move(*key);
  auto token = read(config_.token, "token");
  if (!token) return token.error();
  credential.token = trimmed(std::move(*token));
  if (!config_.exec) return credential;

  if (auto ran = run_plugin(credential.tls.ca_pem, stop); !ran) return ran.error();
  if (!from_plugin_->token.empty()) credential.token = from_plugin_->token;
  if (!from_plugin_->certificate_pem.empty()) {
    credential.tls.certificate_pem = from_plugin_->certificate_pem;
    credential.tls.key_pem = from_plugin_->key_pem;
  }
  return credential;
}

void Credentials::rejected() {
  const std::lock_guard lock(mutex_);
  from_plugin_.reset();
}

}  // namespace topolb::kube
