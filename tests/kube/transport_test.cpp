// SPDX-License-Identifier: Apache-2.0
// TLS, credentials, failover and cancellation on real connections.
#include <filesystem>
#include <fstream>
#include <regex>
#include <thread>

#include "api_server_cable.h"
#include "connect_proxy.h"
#include "kube/base64.h"
#include "kube/server_url.h"
#include "test_server_fixture.h"

namespace topolb::kube {
namespace {

class ApiClientTest : public TestServerFixture {
 protected:
  using TestServerFixture::TestServerFixture;

  static Result<HttpResponse> get(Api& api, const std::string& target,
                                  std::string* ret_body = nullptr, const Deadlines& deadlines = {},
                                  std::stop_token stop = {}) {
    ApiRequest request;
    request.target = target;
    request.deadlines = deadlines;
    return api.send(
        request,
        [ret_body](std::string_view piece) {
          if (ret_body != nullptr) ret_body->append(piece);
          return true;
        },
        std::move(stop));
  }
  static Result<HttpResponse> version(const ClusterConfig& config) {
    return get(*api(config), "/version");
  }
};

TEST_F(ApiClientTest, GetsABody) {
  std::string body;
  const auto client = api(config());
  const auto response = get(*client, "/version", &body);
  ASSERT_TRUE(response) << response.error().message();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(body, R"({"major":"1","minor":"34"})");
}

TEST_F(ApiClientTest, ErrorBodiesGoToTheResponse) {
  std::string body;
  const auto client = api(config());
  const auto response = get(*client, "/nowhere", &body);
  ASSERT_TRUE(response) << response.error().message();
  EXPECT_EQ(response->status, 404);
  EXPECT_EQ(body, "");
  EXPECT_NE(response->error_body.find("no such path"), std::string::npos);
}

TEST_F(ApiClientTest, AnUnknownAuthorityIsRefused) {
  ClusterConfig other = config();
  other.certificate_authority.data = test::CertificateAuthority().certificate_pem();
  const auto response = version(other);
  ASSERT_FALSE(response);
  EXPECT_NE(response.error().what.find("server certificate for '127.0.0.1': "), std::string::npos)
      << response.error().what;
  other.insecure_skip_tls_verify = true;
  EXPECT_TRUE(version(other));
}

TEST_F(ApiClientTest, TheSystemsAuthoritiesDoNotKnowTheServer) {
  ClusterConfig other = config();
  other.certificate_authority = {};
  EXPECT_FALSE(version(other));
}

TEST_F(ApiClientTest, TheServersNameIsChecked) {
  ClusterConfig named = config();
  named.tls_server_name = "localhost";
  EXPECT_TRUE(version(named));
  named.tls_server_name = "127.0.0.1";
  EXPECT_TRUE(version(named));
  named.tls_server_name = "kubernetes.default.svc";
  const auto response = version(named);
  ASSERT_FALSE(response);
  EXPECT_NE(response.error().what.find("'kubernetes.default.svc': hostname mismatch"),
            std::string::npos)
      << response.error().what;
}

TEST_F(ApiClientTest, AServerMayHaveAnIPv6Address) {
  const test::Cable cable(parse_server_url(server.url())->port, Family::IPv6);
  ClusterConfig by_address = config();
  by_address.servers = {fmt::format("https://[::1]:{}", cable.port())};
  const auto response = version(by_address);
  ASSERT_TRUE(response) << response.error().message();
  EXPECT_EQ(response->status, 200);
}

TEST_F(ApiClientTest, AProxyMayLieBetween) {
  ConnectProxy proxy;
  ClusterConfig behind = config();
  behind.servers = {"https://api.invalid:6443"};
  behind.tls_server_name = "localhost";
  behind.proxy_url = fmt::format("http://user:pass%21@127.0.0.1:{}", proxy.port());
  proxy.lead_to(parse_server_url(server.url())->port);
  const auto response = version(behind);
  ASSERT_TRUE(response) << response.error().message();
  EXPECT_EQ(response->status, 200);
  EXPECT_TRUE(proxy.last_request().starts_with("CONNECT api.invalid:6443 HTTP/1.1\r\n"));
  EXPECT_NE(proxy.last_request().find("Proxy-Authorization: Basic " + base64_encode("user:pass!")),
            std::string::npos);
}

TEST_F(ApiClientTest, DamagedPemIsNamed) {
  ClusterConfig damaged = config();
  damaged.certificate_authority.data = "no PEM";
  EXPECT_NE(version(damaged).error().what.find("certificate authority"), std::string::npos);
  damaged = config();
  damaged.client_certificate.data = damaged.client_key.data = "no PEM";
  EXPECT_NE(version(damaged).error().what.find("client certificate"), std::string::npos);
  const test::KeyPair pair = server.authority().issue_client("x");
  damaged.client_certificate.data = pair.certificate_pem;
  damaged.client_key.data = server.authority().issue_client("y").key_pem;
  EXPECT_NE(version(damaged).error().what.find("does not fit"), std::string::npos);
}

class ClientCertificateTest : public ApiClientTest {
 protected:
  ClientCertificateTest() : ApiClientTest({.needs_client_certificate = true}) {}
};

TEST_F(ClientCertificateTest, IsShown) {
  EXPECT_FALSE(version(config()));
  ClusterConfig with = config();
  const test::KeyPair pair = server.authority().issue_client("agent");
  with.client_certificate.data = pair.certificate_pem;
  with.client_key.data = pair.key_pem;
  const auto response = version(with);
  ASSERT_TRUE(response) << response.error().message();
  EXPECT_EQ(response->status, 200);
}

class TokenTest : public ApiClientTest {
 protected:
  TokenTest() : ApiClientTest({.token = "first"}) {
    std::string name = (std::filesystem::temp_directory_path() / "topolb-token-XXXXXX").string();
    close(mkstemp(name.data()));
    file_ = name;
  }
  ~TokenTest() override { std::filesystem::remove(file_); }
  void write_token(const std::string& token) const { std::ofstream(file_) << token << "\n"; }

  std::string file_;
};

TEST_F(TokenTest, AFileIsReadAnewWhenItRotates) {
  ClusterConfig with = config();
  with.token.file = file_;
  write_token("first");
  ClusterView view(api(with));
  ASSERT_TRUE(view.wait_synced()) << view.errors();
  ASSERT_TRUE(view.wait([this] { return server.watches("resourceVersion=") == 3; }));
  server.set_token("second");
  server.break_connections();
  ASSERT_TRUE(view.wait([&] { return view.errors().find("401") != std::string::npos; }));
  write_token("second");
  server.store().put(slice("a-2", "a", "10.1.0.2"));
  EXPECT_TRUE(view.wait([&] { return view.find("EndpointSlice/default/a-2") != nullptr; }))
      << view.errors();
  EXPECT_EQ(view.removed, std::set<std::string>{});
}

TEST_F(TokenTest, APluginIsAskedAgainAfterARefusal) {
  write_token("stale");
  ClusterConfig with = config();
  with.exec = ExecPlugin{.api_version = "client.authentication.k8s.io/v1",
                         .command = "sh",
                         .args = {"-c",
                                  "echo '{\"apiVersion\":\"client.authentication.k8s.io/v1\","
                                  "\"kind\":\"ExecCredential\",\"status\":{\"token\":\"'$(cat " +
                                      file_ + ")'\"}}'"}};
  const auto client = api(with);
  EXPECT_EQ(get(*client, "/version")->status, 401);
  write_token("first");
  EXPECT_EQ(get(*client, "/version")->status, 200);
  write_token("stale");
  EXPECT_EQ(get(*client, "/version")->status, 200);  // not asked again without need
}

TEST_F(ApiClientTest, TheNextServerTakesOver) {
  test::ApiServer second;
  ClusterConfig both = config();
  both.servers.push_back(second.url());
  both.insecure_skip_tls_verify = true;
  const auto client = api(both);
  EXPECT_EQ(get(*client, "/version")->status, 200);
  EXPECT_TRUE(second.requests().empty());
  server.stop();
  EXPECT_EQ(get(*client, "/version")->status, 200);
  EXPECT_EQ(second.requests().size(), 1U);
  server.start();
  EXPECT_EQ(get(*client, "/version")->status, 200);  // stays with what works
  EXPECT_EQ(second.requests().size(), 2U);
  second.inject({.target = "version", .status = 503});
  EXPECT_EQ(get(*client, "/version")->status, 503);
  EXPECT_EQ(get(*client, "/version")->status, 200);
  EXPECT_EQ(second.requests().size(), 3U);
  server.stop();
  second.stop();
  EXPECT_FALSE(get(*client, "/version"));
}

TEST_F(ApiClientTest, DeadlinesHoldAtEachStage) {
  const auto client = api(config());
  const Deadlines deadlines{.connect = 1s, .response = 300ms, .idle = 300ms};
  server.inject({.target = "version", .cut = 10, .stall = true});
  const auto start = std::chrono::steady_clock::now();
  const auto response = get(*client, "/version", nullptr, deadlines);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, std::errc::timed_out);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
}

TEST_F(ApiClientTest, ABodyThatEndsEarlyIsAnError) {
  const auto client = api(config());
  server.inject({.target = "version", .cut = 10});
  EXPECT_FALSE(get(*client, "/version"));
  server.inject({.target = "services?watch", .cut = 100});
  EXPECT_FALSE(get(*client, "/api/v1/services?watch=1&sendInitialEvents=true"));
}

TEST_F(ApiClientTest, SlowBytesAreNoStall) {
  for (int i = 0; i < 10; ++i) server.store().put(service(fmt::format("s{}", i), "10.97.0.1"));
  const auto client = api(config());
  server.inject({.target = "services?watch", .per_byte = std::chrono::milliseconds(1)});
  const auto start = std::chrono::steady_clock::now();
  std::string body;
  const auto response =
      get(*client, "/api/v1/services?watch=1&sendInitialEvents=true&timeoutSeconds=1", &body,
          {.idle = 2s});
  ASSERT_TRUE(response) << response.error().message();
  EXPECT_GT(std::chrono::steady_clock::now() - start, 2s);
  EXPECT_NE(body.find("initial-events-end"), std::string::npos);
}

TEST_F(ApiClientTest, StopEndsARequestAtOnce) {
  const auto client = api(config());
  std::stop_source stop;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(200ms);
    stop.request_stop();
  });
  const auto start = std::chrono::steady_clock::now();
  const auto response = get(*client, "/api/v1/services?watch=1&resourceVersion=7&timeoutSeconds=60",
                            nullptr, {.idle = 60s}, stop.get_token());
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, std::errc::operation_canceled);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 1s);
}

/// Half-open connections: the kernel asks the other side, and tells when nobody answers.
TEST_F(ApiClientTest, KeepsAnEyeOnIdleConnections) {
  const auto client = api(config());
  std::stop_source stop;
  std::jthread watcher([&] {
    (void)get(*client, "/api/v1/services?watch=1&resourceVersion=7&timeoutSeconds=60", nullptr,
              {.idle = 60s}, stop.get_token());
  });
  // The timer of a connection to the server's port: 02 is keepalive. Source: proc_net_tcp.
  const std::regex kept(fmt::format(" 0100007F:{:04X} 01 [0-9A-F]+:[0-9A-F]+ 02:",
                                    parse_server_url(server.url())->port));
  bool found = false;
  for (int tries = 0; tries < 500 && !found; ++tries) {
    std::ifstream connections("/proc/self/net/tcp");
    found = std::regex_search(std::string(std::istreambuf_iterator<char>(connections), {}), kept);
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_TRUE(found);
  stop.request_stop();
}

TEST_F(ApiClientTest, ABigListIsNotHeldUp) {
  for (int i = 0; i < 5000; ++i) {
    server.store().put(service(fmt::format("s{}", i), "10.97.0.1"));
  }
  std::string body;
  const auto client = api(config());
  const auto response = get(*client, "/api/v1/services", &body);
  ASSERT_TRUE(response) << response.error().message();
  EXPECT_EQ(web::json::value::parse(body).at("items").size(), 5003U);
}

}  // namespace
}  // namespace topolb::kube
