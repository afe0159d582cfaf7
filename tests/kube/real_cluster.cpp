// SPDX-License-Identifier: Apache-2.0
// etcd and kube-apiserver on loopback ports, with their files in a directory of their own.
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include "api_server_certificates.h"
#include "kube/api_client.h"
#include "kube/resource.h"
#include "test_cluster.h"

namespace topolb::kube {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr const char* kToken = "test-admin";

std::uint16_t free_port() {
  std::uint16_t port = 0;
  const UniqueFd listener = test::listen_on_loopback(port);
  return port;
}

/// A child that does not outlive us.
class Process {
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

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (fs::temp_directory_path() / "topolb-cluster-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("test: no temporary directory");
    path_ = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() { fs::remove_all(path_); }

  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

std::string last_line(const fs::path& file) {
  std::ifstream stream(file);
  std::string last;
  for (std::string line; std::getline(stream, line);) last = line;
  return last;
}

class RealCluster final : public TestCluster {
 public:
  explicit RealCluster(std::string assets)
      : assets_(std::move(assets)), etcd_port_(free_port()), api_port_(free_port()) {
    write_files();
    const std::string url = etcd_url(etcd_port_);
    etcd_ = std::make_unique<Process>(
        std::vector<std::string>{assets_ + "/etcd", "--data-dir", (directory_ / "etcd").string(),
                                 "--listen-client-urls", url, "--advertise-client-urls", url,
                                 "--listen-peer-urls", etcd_url(free_port())},
        directory_ / "etcd.log");
    cable_ = std::make_unique<test::Cable>(api_port_);
    admin_ = std::make_unique<ApiClient>(config_on(api_port_), make_transport());
    start();
  }

  [[nodiscard]] ClusterConfig config() const override { return config_on(cable_->port()); }

  void put(const web::json::value& object) override {
    const std::string collection = path_of(object.at("kind").as_string(), object);
    if (send("POST", collection, object.serialize()) != 409) return;
    const std::string name = object.at("metadata").at("name").as_string();
    if (send("PUT", collection + "/" + name, object.serialize()) != 200) {
      throw std::runtime_error("test: cannot replace " + name + ": " + last_error_);
    }
  }
  void remove(const std::string& kind, const std::string& name_space,
              const std::string& name) override {
    web::json::value object;
    object["metadata"]["namespace"] = web::json::value(name_space);
    send("DELETE", path_of(kind, object) + "/" + name, "");
  }
  void stop() override { api_server_.reset(); }
  void start() override {
    api_server_ = std::make_unique<Process>(api_server_arguments(), directory_ / "api.log");
    for (int tries = 0; tries < 600; ++tries) {
      if (send("GET", "/readyz", "") == 200 &&
          send("GET", "/api/v1/namespaces/default", "") == 200) {
        return;
      }
      std::this_thread::sleep_for(100ms);
    }
    throw std::runtime_error("test: kube-apiserver does not get ready: " +
                             last_line(directory_ / "api.log"));
  }
  void forget_history() override {
    // Its own cache of events goes with the process, etcd's history with the compaction.
    stop();
    compact_etcd();
    start();
  }

 private:
  static std::string etcd_url(std::uint16_t port) {
    return fmt::format("http://127.0.0.1:{}", port);
  }

  static std::string path_of(const std::string& kind, const web::json::value& object) {
    if (kind == "Node") return resource_of(Kind::Node).path;
    const std::string group = kind == "EndpointSlice" ? "/apis/discovery.k8s.io/v1" : "/api/v1";
    const std::string plural = kind == "EndpointSlice" ? "endpointslices" : "services";
    return fmt::format("{}/namespaces/{}/{}", group,
                       object.at("metadata").at("namespace").as_string(), plural);
  }

  [[nodiscard]] ClusterConfig config_on(std::uint16_t port) const {
    ClusterConfig config;
    config.servers = {fmt::format("https://127.0.0.1:{}", port)};
    config.certificate_authority.data = authority_.certificate_pem();
    config.token.data = kToken;
    return config;
  }

  void write_files() const {
    const auto write = [this](const char* name, const std::string& text) {
      std::ofstream(directory_ / name) << text;
    };
    const test::KeyPair server = authority_.issue_server("IP:127.0.0.1,DNS:localhost");
    const test::KeyPair accounts = authority_.issue_client("service accounts");
    write("server.crt", server.certificate_pem);
    write("server.key", server.key_pem);
    write("accounts.crt", accounts.certificate_pem);
    write("accounts.key", accounts.key_pem);
    write("tokens.csv", fmt::format("{},admin,1,system:masters\n", kToken));
  }

  [[nodiscard]] std::vector<std::string> api_server_arguments() const {
    const auto file = [this](const char* name) { return (directory_ / name).string(); };
    return {assets_ + "/kube-apiserver",
            "--etcd-servers=" + etcd_url(etcd_port_),
            "--bind-address=127.0.0.1",
            fmt::format("--secure-port={}", api_port_),
            "--tls-cert-file=" + file("server.crt"),
            "--tls-private-key-file=" + file("server.key"),
            "--token-auth-file=" + file("tokens.csv"),
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-account-key-file=" + file("accounts.crt"),
            "--service-account-signing-key-file=" + file("accounts.key"),
            "--disable-admission-plugins=ServiceAccount"};
  }

  /// The status; 0: no answer.
  int send(const std::string& method, const std::string& target, const std::string& body) {
    ApiRequest request;
    request.method = method;
    request.target = target;
    request.body = body;
    if (!body.empty()) request.content_type = "application/json";
    const auto response = admin_->send(request, [](std::string_view) { return true; }, {});
    last_error_ = response ? response->error_body : response.error().message();
    return response ? response->status : 0;
  }

  void compact_etcd() {
    ClusterConfig config;
    config.servers = {etcd_url(etcd_port_)};
    ApiClient etcd(config, make_transport());
    const auto post = [&etcd](const std::string& path, const std::string& body) {
      std::string answer;
      ApiRequest request{.method = "POST", .target = path, .body = body};
      request.content_type = "application/json";
      const auto response = etcd.send(request,
                                      [&answer](std::string_view piece) {
                                        answer.append(piece);
                                        return true;
                                      },
                                      {});
      if (!response || response->status != 200) throw std::runtime_error("test: etcd says no");
      return web::json::value::parse(answer);
    };
    const auto range = post("/v3/kv/range", R"({"key":"AA=="})");
    const std::string revision = range.at("header").at("revision").as_string();
    post("/v3/kv/compaction", fmt::format(R"({{"revision":"{}","physical":true}})", revision));
  }

  std::string assets_;
  std::uint16_t etcd_port_;
  std::uint16_t api_port_;
  TemporaryDirectory directory_;  // outlives those who write to it
  test::CertificateAuthority authority_;
  std::unique_ptr<Process> etcd_;
  std::unique_ptr<Process> api_server_;
  std::unique_ptr<ApiClient> admin_;
  std::string last_error_;
};

}  // namespace

std::unique_ptr<TestCluster> make_real_cluster(const std::string& assets) {
  return std::make_unique<RealCluster>(assets);
}

}  // namespace topolb::kube
