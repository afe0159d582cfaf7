// SPDX-License-Identifier: Apache-2.0
#include "kube/kubeconfig.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <array>
#include <filesystem>

#include "kube/base64.h"
#include "kube/file_text.h"
#include "kube/server_url.h"

namespace topolb::kube {
namespace {

/// A reader's error, thrown within this file only.
struct FieldError {
  std::string what;
};

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw FieldError{where.empty() ? what : where + ": " + what};
}

/// A mapping of the file, with its place in it for messages.
class Section {
 public:
  Section(const YAML::Node& node, std::string where) : node_(node), where_(std::move(where)) {
    if (node_.IsDefined() && !node_.IsNull() && !node_.IsMap()) fail(where_, "must be a mapping");
  }

  [[nodiscard]] std::string place(const std::string& field) const {
    return where_.empty() ? field : where_ + "." + field;
  }
  [[nodiscard]] YAML::Node child(const std::string& field) const {
    return node_.IsMap() ? static_cast<const YAML::Node&>(node_)[field]
                         : YAML::Node(YAML::NodeType::Undefined);
  }
  [[nodiscard]] bool has(const std::string& field) const {
    const YAML::Node found = child(field);
    return found.IsDefined() && !found.IsNull();
  }
  [[nodiscard]] std::string text(const std::string& field) const {
    if (!has(field)) return {};
    const YAML::Node found = child(field);
    if (!found.IsScalar()) fail(place(field), "must be a string");
    return found.Scalar();
  }
  [[nodiscard]] std::string required(const std::string& field) const {
    std::string value = text(field);
    if (value.empty()) fail(place(field), "missing");
    return value;
  }
  [[nodiscard]] bool flag(const std::string& field) const {
    const std::string value = text(field);
    if (!value.empty() && value != "true" && value != "false") {
      fail(place(field), "must be true or false");
    }
    return value == "true";
  }
  [[nodiscard]] std::vector<YAML::Node> list(const std::string& field) const {
    if (!has(field)) return {};
    const YAML::Node found = child(field);
    if (!found.IsSequence()) fail(place(field), "must be a list");
    return {found.begin(), found.end()};
  }
  [[nodiscard]] Section section(const std::string& field) const {
    return {child(field), place(field)};
  }

  /// `body` of the entry of list `field` that is called `name`: clusters[prod].cluster
  [[nodiscard]] Section named(const std::string& field, const std::string& name,
                              const std::string& body) const {
    for (const YAML::Node& entry : list(field)) {
      const Section candidate(entry, place(field));
      const std::string here = fmt::format("{}[{}]", place(field), name);
      if (candidate.text("name") == name)
        return {candidate.child(body), fmt::format("{}.{}", here, body)};
    }
    fail(place(field), fmt::format("no entry is called '{}'", name));
  }

 private:
  YAML::Node node_;
  std::string where_;
};

std::string resolve(const std::filesystem::path& directory, const std::string& path) {
  return path.empty() ? path : (directory / path).lexically_normal().string();
}

/// `field` names a file, `field`-data holds its contents.
Material read_material(const Section& section, const std::string& field,
                       const std::filesystem::path& directory) {
  Material material;
  const std::string encoded = section.text(field + "-data");
  if (encoded.empty()) {
    material.file = resolve(directory, section.text(field));
    return material;
  }
  const auto decoded = base64_decode(encoded);
  if (!decoded || decoded->empty()) fail(section.place(field + "-data"), "is no base64");
  material.data = *decoded;
  return material;
}

void read_cluster(const Section& cluster, const std::filesystem::path& directory,
                  ClusterConfig& ret_config) {
  const std::string server = cluster.required("server");
  if (auto checked = check_server_url(server); !checked) {
    fail(cluster.place("server"), checked.error().what);
  }
  ret_config.servers = {server};
  ret_config.certificate_authority = read_material(cluster, "certificate-authority", directory);
  ret_config.insecure_skip_tls_verify = cluster.flag("insecure-skip-tls-verify");
  ret_config.tls_server_name = cluster.text("tls-server-name");
  ret_config.proxy_url = cluster.text("proxy-url");
  if (ret_config.insecure_skip_tls_verify && !ret_config.certificate_authority.empty()) {
    fail(cluster.place("insecure-skip-tls-verify"), "not together with certificate-authority");
  }
  if (!ret_config.proxy_url.empty() && !ret_config.proxy_url.starts_with("http://")) {
    fail(cluster.place("proxy-url"), "only http:// proxies are supported");
  }
}

ExecPlugin read_exec(const Section& exec, const std::filesystem::path& directory) {
  static constexpr std::array<std::string_view, 2> kVersions = {
      "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"};
  ExecPlugin plugin;
  plugin.api_version = exec.required("apiVersion");
  if (std::ranges::find(kVersions, plugin.api_version) == kVersions.end()) {
    fail(exec.place("apiVersion"),
         fmt::format("'{}' is none of {}, {}", plugin.api_version, kVersions[0], kVersions[1]));
  }
  plugin.command = exec.required("command");
  // A bare name is looked up in PATH.
  if (plugin.command.find('/') != std::string::npos) {
    plugin.command = resolve(directory, plugin.command);
  }
  for (const YAML::Node& argument : exec.list("args")) {
    if (!argument.IsScalar()) fail(exec.place("args"), "must be strings");
    plugin.args.push_back(argument.Scalar());
  }
  for (const YAML::Node& entry : exec.list("env")) {
    const Section variable(entry, exec.place("env"));
    plugin.env.emplace_back(variable.required("name"), variable.text("value"));
  }
  plugin.install_hint = exec.text("installHint");
  plugin.provide_cluster_info = exec.flag("provideClusterInfo");
  if (exec.text("interactiveMode") == "Always") {
    fail(exec.place("interactiveMode"), "Always needs a terminal; use Never or IfAvailable");
  }
  return plugin;
}

void read_user(const Section& user, const std::filesystem::path& directory,
               ClusterConfig& ret_config) {
  static constexpr std::array<const char*, 6> kUnsupported = {
      "auth-provider", "username", "password", "as", "as-groups", "as-uid"};
  for (const char* field : kUnsupported) {
    if (user.has(field)) fail(user.place(field), "is not supported");
  }
  ret_config.client_certificate = read_material(user, "client-certificate", directory);
  ret_config.client_key = read_material(user, "client-key", directory);
  if (ret_config.client_certificate.empty() != ret_config.client_key.empty()) {
    fail(user.place(ret_config.client_key.empty() ? "client-key" : "client-certificate"),
         "missing: certificate and key belong together");
  }
  ret_config.token = {user.text("token"), resolve(directory, user.text("tokenFile"))};
  if (user.has("exec")) ret_config.exec = read_exec(user.section("exec"), directory);
}

ClusterConfig read_config(const YAML::Node& document, const std::string& file,
                          const std::string& context_name) {
  const Section root(document, "");
  const std::string kind = root.text("kind");
  if (!kind.empty() && kind != "Config") fail("kind", fmt::format("'{}' is no Config", kind));
  const std::string name = context_name.empty() ? root.text("current-context") : context_name;
  if (name.empty()) fail("current-context", "missing, and no context was asked for");
  const Section context = root.named("contexts", name, "context");
  const auto directory = std::filesystem::path(file).parent_path();
  ClusterConfig config;
  read_cluster(root.named("clusters", context.required("cluster"), "cluster"), directory, config);
  const std::string user = context.text("user");
  if (!user.empty()) read_user(root.named("users", user, "user"), directory, config);
  return config;
}

}  // namespace

Result<ClusterConfig> parse_kubeconfig(std::string_view text, const std::string& file,
                                       const std::string& context) {
  try {
    return read_config(YAML::Load(std::string(text)), file, context);
  } catch (const FieldError& error) {
    return make_error(fmt::format("kubeconfig {}: {}", file, error.what));
  } catch (const YAML::Exception& exception) {
    return make_error(
        fmt::format("kubeconfig {}: line {}: {}", file, exception.mark.line + 1, exception.msg));
  }
}

Result<ClusterConfig> load_kubeconfig(const std::string& file, const std::string& context) {
  auto text = read_text_file(file, "kubeconfig");
  if (!text) return text.error();
  return parse_kubeconfig(*text, file, context);
}

}  // namespace topolb::kube
