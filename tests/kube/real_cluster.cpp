// SPDX-License-Identifier: Apache-2.0
#include "real_cluster.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "kube/api_call.h"

namespace topolb::kube {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr const char* kToken = "test-admin";
constexpr const char* kAccounts = "/api/v1/namespaces/kube-system/serviceaccounts";
constexpr const char* kSecrets = "/api/v1/namespaces/kube-system/secrets";
constexpr int kStartTries = 600;
constexpr int kPutTries = 10;

std::uint16_t free_port() {
  std::uint16_t port = 0;
  const UniqueFd listener = test::listen_on_loopback(port);
  return port;
}

std::string last_line(const fs::path& file) {
  std::ifstream stream(file);
  std::string last;
  for (std::string line; std::getline(stream, line);) last = line;
  return last;
}

std::string etcd_url(std::uint16_t port) { return fmt::format("http://127.0.0.1:{}", port); }

std::string field_of(const web::json::value& object, const std::string& name) {
  return object.has_string_field(name) ? object.at(name).as_string() : "";
}

/// Where objects of a kind are: "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices".
std::string collection(const std::string& api_version, const std::string& kind,
                       const std::string& name_space) {
  std::string plural = kind;
  std::ranges::transform(plural, plural.begin(), [](unsigned char c) { return std::tolower(c); });
  if (plural.ends_with("y")) plural.replace(plural.size() - 1, 1, "ie");
  return fmt::format("/{}/{}/{}{}s", api_version.find('/') == std::string::npos ? "api" : "apis",
                     api_version, name_space.empty() ? "" : "namespaces/" + name_space + "/",
                     plural);
}

}  // namespace

std::string kubernetes_assets() {
  const char* assets = std::getenv("KUBEBUILDER_ASSETS");
  return assets != nullptr ? assets : "";
}

std::vector<std::string> real_clusters() {
  const std::string assets = kubernetes_assets();
  return assets.empty() ? std::vector<std::string>{} : std::vector<std::string>{assets};
}

/// A child that does not outlive us.
class RealCluster::Process {
 public:
  Process(const std::vector<std::string>& arguments, const fs::path& log) : pid_(fork()) {
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (std::freopen(log.c_str(), "a", stderr) == nullptr) _exit(127);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    std::vector<char*> pointers;
    for (const std::string& argument : arguments) {
      pointers.push_back(const_cast<char*>(argument.c_str()));
    }
    pointers.push_back(nullptr);
    execv(pointers[0], pointers.data());
    _exit(127);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_;
};

class RealCluster::Directory {
 public:
  Directory() {
    std::string name =
        (fs::temp_directory_path() / fmt::format("topolb-test-{}-XXXXXX", ::getpid())).string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("test: no temporary directory");
    path_ = name;
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory() { fs::remove_all(path_); }

  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

RealCluster::RealCluster(std::string assets)
    : assets_(std::move(assets)),
      etcd_port_(free_port()),
      api_port_(free_port()),
      directory_(std::make_unique<Directory>()) {
  for (const char* program : {"etcd", "kube-apiserver"}) {
    if (access((assets_ + "/" + program).c_str(), X_OK) == 0) continue;
    throw std::runtime_error(
        fmt::format("KUBEBUILDER_ASSETS: no program {} in {}", program, assets_));
  }
  write_files();
  const std::string url = etcd_url(etcd_port_);
  etcd_ = std::make_unique<Process>(
      std::vector<std::string>{assets_ + "/etcd", "--data-dir", (*directory_ / "etcd").string(),
                               "--listen-client-urls", url, "--advertise-client-urls", url,
                               "--listen-peer-urls", etcd_url(free_port())},
      *directory_ / "etcd.log");
  cable_ = std::make_unique<test::Cable>(api_port_);
  start();
}

RealCluster::~RealCluster() = default;

void RealCluster::put(const web::json::value& object) {
  const web::json::value& metadata = object.at("metadata");
  const std::string path =
      collection(object.at("apiVersion").as_string(), object.at("kind").as_string(),
                 field_of(metadata, "namespace"));
  const std::string name = metadata.at("name").as_string();
  PlainAnswer answer = send("POST", path, object.serialize());
  // 422: a Service whose address is taken, by itself. Between reading an object's version and
  // writing it, the server may have changed it.
  for (int tries = 0; (answer.status == 409 || answer.status == 422) && tries < kPutTries;
       ++tries) {
    const auto stored = send("GET", path + "/" + name);
    if (stored.status != 200) break;
    web::json::value next = object;
    next["metadata"]["resourceVersion"] =
        web::json::value::parse(stored.body).at("metadata").at("resourceVersion");
    answer = send("PUT", path + "/" + name, next.serialize());
  }
  if (answer.status == 200 || answer.status == 201) return;
  throw std::runtime_error("test: cannot create or replace " + name + ": " + answer.body);
}

void RealCluster::remove(const std::string& kind, const std::string& name_space,
                         const std::string& name) {
  const char* api_version = kind == "EndpointSlice" ? "discovery.k8s.io/v1" : "v1";
  (void)send("DELETE", collection(api_version, kind, name_space) + "/" + name);
}

void RealCluster::stop() { api_server_.reset(); }

void RealCluster::start() {
  api_server_ = std::make_unique<Process>(api_server_arguments(), *directory_ / "api.log");
  for (int tries = 0; tries < kStartTries; ++tries) {
    if (send("GET", "/readyz").status == 200 &&
        send("GET", "/api/v1/namespaces/kube-system").status == 200 &&
        send("GET", "/api/v1/namespaces/default").status == 200) {
      return;
    }
    std::this_thread::sleep_for(100ms);
  }
  throw std::runtime_error("test: kube-apiserver does not get ready: " +
                           last_line(*directory_ / "api.log"));
}

void RealCluster::forget_history() {
  // Its own cache of events goes with the process, etcd's history with the compaction.
  stop();
  compact_etcd();
  start();
}

std::string RealCluster::rotate_token() {
  // A token that is bound to an object is worthless without it.
  const std::string before = fmt::format("agent-{}", tokens_);
  const std::string now = fmt::format("agent-{}", ++tokens_);
  (void)send("POST", kAccounts, R"({"metadata":{"name":"topolb"}})");
  (void)send("POST", kSecrets, fmt::format(R"({{"metadata":{{"name":"{}"}}}})", now));
  const auto answer = send("POST", std::string(kAccounts) + "/topolb/token",
                           fmt::format(R"({{"spec":{{"boundObjectRef":{{"apiVersion":"v1",)"
                                       R"("kind":"Secret","name":"{}"}}}}}})",
                                       now));
  if (answer.status != 201) throw std::runtime_error("test: no token: " + answer.body);
  (void)send("DELETE", std::string(kSecrets) + "/" + before);
  return web::json::value::parse(answer.body).at("status").at("token").as_string();
}

void RealCluster::refuse_slices(bool refuse) {
  auto role = shipped_objects("k8s/base/cluster-role.yaml").front();
  auto kept = web::json::value::array();
  for (const auto& rule : role.at("rules").as_array()) {
    const bool is_theirs = rule.at("resources").serialize().find("slices") != std::string::npos;
    if (!refuse || !is_theirs) kept[kept.size()] = rule;
  }
  role["rules"] = kept;
  put(role);
}

ClusterConfig RealCluster::config_on(std::uint16_t port) const {
  ClusterConfig config;
  config.servers = {fmt::format("https://127.0.0.1:{}", port)};
  config.certificate_authority.data = authority_.certificate_pem();
  config.token.data = kToken;
  return config;
}

void RealCluster::write_files() const {
  const auto write = [this](const char* name, const std::string& text) {
    std::ofstream(*directory_ / name) << text;
  };
  const test::KeyPair server = authority_.issue_server("IP:127.0.0.1,DNS:localhost");
  const test::KeyPair accounts = authority_.issue_client("service accounts");
  write("server.crt", server.certificate_pem);
  write("server.key", server.key_pem);
  write("accounts.crt", accounts.certificate_pem);
  write("accounts.key", accounts.key_pem);
  write("tokens.csv", fmt::format("{},admin,1,system:masters\n{},user,2\n", kToken, kUserToken));
}

std::vector<std::string> RealCluster::api_server_arguments() const {
  const auto file = [this](const char* name) { return (*directory_ / name).string(); };
  return {assets_ + "/kube-apiserver", "--etcd-servers=" + etcd_url(etcd_port_),
          "--bind-address=127.0.0.1",
          // Where there is no network, it finds no address of its own.
          "--advertise-address=192.0.2.1", fmt::format("--secure-port={}", api_port_),
          "--tls-cert-file=" + file("server.crt"), "--tls-private-key-file=" + file("server.key"),
          "--token-auth-file=" + file("tokens.csv"), "--authorization-mode=RBAC",
          "--service-cluster-ip-range=10.96.0.0/16",
          "--service-account-issuer=https://kubernetes.default.svc",
          "--service-account-key-file=" + file("accounts.crt"),
          "--service-account-signing-key-file=" + file("accounts.key"),
          "--disable-admission-plugins=ServiceAccount"};
}

PlainAnswer RealCluster::send(const std::string& method, const std::string& target,
                              const std::string& body) const {
  PlainRequest request{.port = api_port_, .method = method, .target = target, .body = body};
  request.headers = {std::string("Authorization: Bearer ") + kToken};
  if (!body.empty()) {
    request.headers.push_back(std::string("Content-Type: ") +
                              (method == "PATCH" ? kMergePatchBody : kJsonBody));
  }
  return ask(request);
}

void RealCluster::compact_etcd() const {
  const auto post = [this](const std::string& path, const std::string& body) {
    const auto answer =
        ask({.port = etcd_port_, .tls = false, .method = "POST", .target = path, .body = body});
    if (answer.status != 200) throw std::runtime_error("test: etcd says " + answer.body);
    return web::json::value::parse(answer.body);
  };
  const auto range = post("/v3/kv/range", R"({"key":"AA=="})");
  const std::string revision = range.at("header").at("revision").as_string();
  post("/v3/kv/compaction", fmt::format(R"({{"revision":"{}","physical":true}})", revision));
}

}  // namespace topolb::kube
