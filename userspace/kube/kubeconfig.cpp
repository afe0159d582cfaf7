// SPDX-License-Identifier: Apache-2.0
#include "kube/kubeconfig.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <list>

#include "kube/base64.h"
#include "kube/kubeconfig_section.h"
#include "kube/server_url.h"
#include "kube/yaml.h"

namespace topolb::kube {
namespace {

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
  if (!decoded || decoded->empty()) fail_field(section.place(field + "-data"), "is no base64");
  material.data = *decoded;
  return material;
}

void read_cluster(const Section& cluster, const std::filesystem::path& directory,
                  ClusterConfig& ret_config) {
  const std::string server = cluster.required("server");
  if (auto checked = check_server_url(server); !checked) {
    fail_field(cluster.place("server"), checked.error().what);
  }
  ret_config.servers = {server};
  ret_config.certificate_authority = read_material(cluster, "certificate-authority", directory);
  ret_config.insecure_skip_tls_verify = cluster.flag("insecure-skip-tls-verify");
  ret_config.tls_server_name = cluster.text("tls-server-name");
  ret_config.proxy_url = cluster.text("proxy-url");
  if (ret_config.insecure_skip_tls_verify && !ret_config.certificate_authority.empty()) {
    fail_field(cluster.place("insecure-skip-tls-verify"),
               "not together with certificate-authority");
  }
  if (!ret_config.proxy_url.empty() && !ret_config.proxy_url.starts_with("http://")) {
    fail_field(cluster.place("proxy-url"), "only http:// proxies are supported");
  }
}

ExecPlugin read_exec(const Section& exec, const std::filesystem::path& directory) {
  static constexpr std::array<std::string_view, 2> kVersions = {
      "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"};
  ExecPlugin plugin;
  plugin.api_version = exec.required("apiVersion");
  if (std::ranges::find(kVersions, plugin.api_version) == kVersions.end()) {
    fail_field(exec.place("apiVersion"), fmt::format("'{}' is none of {}, {}", plugin.api_version,
                                                     kVersions[0], kVersions[1]));
  }
  plugin.command = exec.required("command");
  // A bare name is looked up in PATH, and nothing else: not what is left of ./name.
  if (plugin.command.find('/') != std::string::npos) {
    plugin.command = resolve(directory, plugin.command);
    if (plugin.command.find('/') == std::string::npos) plugin.command.insert(0, "./");
  }
  plugin.args = exec.texts("args");
  for (const auto& entry : exec.list("env")) {
    const Section variable(entry, exec.place("env"));
    plugin.env.emplace_back(variable.required("name"), variable.text("value"));
  }
  plugin.install_hint = exec.text("installHint");
  plugin.provide_cluster_info = exec.flag("provideClusterInfo");
  if (exec.text("interactiveMode") == "Always") {
    fail_field(exec.place("interactiveMode"), "Always needs a terminal; use Never or IfAvailable");
  }
  return plugin;
}

void read_user(const Section& user, const std::filesystem::path& directory,
               ClusterConfig& ret_config) {
  static constexpr std::array<const char*, 6> kUnsupported = {
      "auth-provider", "username", "password", "as", "as-groups", "as-uid"};
  for (const char* field : kUnsupported) {
    if (user.has(field)) fail_field(user.place(field), "is not supported");
  }
  ret_config.client_certificate = read_material(user, "client-certificate", directory);
  ret_config.client_key = read_material(user, "client-key", directory);
  if (ret_config.client_certificate.empty() != ret_config.client_key.empty()) {
    fail_field(user.place(ret_config.client_key.empty() ? "client-key" : "client-certificate"),
               "missing: certificate and key belong together");
  }
  ret_config.token = {user.text("token"), resolve(directory, user.text("tokenFile"))};
  if (user.has("exec")) ret_config.exec = read_exec(user.section("exec"), directory);
}

/// One file, parsed.
class Document {
 public:
  /// Throws a FieldError that begins with the file's name.
  explicit Document(const KubeconfigText& source) : source_(source) {
    const auto documents = yaml_to_json(source.text);
    if (!documents) fail_field(in_file(), documents.error().message());
    if (documents->empty()) return;
    simdjson::dom::element root;
    if (parser_.parse(documents->front().json).get(root) != simdjson::SUCCESS) {
      fail_field(in_file(), "cannot be read");
    }
    root_ = root;
  }
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  [[nodiscard]] Section root() const { return {root_, ""}; }
  [[nodiscard]] std::string in_file() const { return "kubeconfig " + source_.file; }
  [[nodiscard]] std::filesystem::path directory() const {
    return std::filesystem::path(source_.file).parent_path();
  }

 private:
  const KubeconfigText& source_;
  simdjson::dom::parser parser_;
  Section::Value root_;
};

/// What several files come to: of entries with one name the first file's counts.
class Documents {
 public:
  explicit Documents(const std::vector<KubeconfigText>& files) {
    for (const auto& file : files) documents_.emplace_back(file);
    for (const auto& document : documents_) {
      in(document, [](const Section& root) {
        const std::string kind = root.text("kind");
        if (!kind.empty() && kind != "Config") {
          fail_field("kind", fmt::format("'{}' is no Config", kind));
        }
      });
    }
  }

  ClusterConfig read(const std::string& context_name) const {
    const std::string name = context_name.empty() ? current_context() : context_name;
    std::string cluster;
    std::string user;
    with_named("contexts", name, "context", [&](const Section& context, const auto&) {
      cluster = context.required("cluster");
      user = context.text("user");
    });
    ClusterConfig config;
    with_named("clusters", cluster, "cluster", [&](const Section& section, const auto& directory) {
      read_cluster(section, directory, config);
    });
    if (user.empty()) return config;
    with_named("users", user, "user", [&](const Section& section, const auto& directory) {
      read_user(section, directory, config);
    });
    return config;
  }

  std::vector<std::string> contexts() const {
    std::vector<std::string> names;
    for (const auto& document : documents_) {
      in(document, [&](const Section& root) {
        for (const auto& entry : root.list("contexts")) {
          names.push_back(Section(entry, "contexts").text("name"));
        }
      });
    }
    return names;
  }

 private:
  /// What is wrong in a file is told with its name.
  template <typename Read>
  static void in(const Document& document, const Read& read) {
    try {
      read(document.root());
    } catch (const FieldError& error) {
      fail_field(document.in_file(), error.what);
    }
  }

  std::string current_context() const {
    std::string name;
    for (const auto& document : documents_) {
      if (!name.empty()) break;
      in(document, [&](const Section& root) { name = root.text("current-context"); });
    }
    if (name.empty()) {
      fail_field(files(), "current-context: missing, and no context was asked for");
    }
    return name;
  }

  template <typename Read>
  void with_named(const std::string& field, const std::string& name, const std::string& body,
                  const Read& read) const {
    bool found = false;
    for (const auto& document : documents_) {
      if (found) break;
      in(document, [&](const Section& root) {
        const auto section = root.named(field, name, body);
        found = section.has_value();
        if (found) read(*section, document.directory());
      });
    }
    if (!found) fail_field(files(), fmt::format("{}: no entry is called '{}'", field, name));
  }

  std::string files() const {
    std::string names;
    for (const auto& document : documents_) {
      names += (names.empty() ? "" : ", ") + document.in_file();
    }
    return names;
  }

  std::list<Document> documents_;  // a parser does not move
};

}  // namespace

Result<ClusterConfig> parse_kubeconfig(const std::vector<KubeconfigText>& files,
                                       const std::string& context) {
  try {
    return Documents(files).read(context);
  } catch (const FieldError& error) {
    return make_error(error.what);
  }
}

Result<std::vector<std::string>> context_names(const std::vector<KubeconfigText>& files) {
  try {
    return Documents(files).contexts();
  } catch (const FieldError& error) {
    return make_error(error.what);
  }
}

}  // namespace topolb::kube
