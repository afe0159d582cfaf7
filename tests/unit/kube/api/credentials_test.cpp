// SPDX-License-Identifier: Apache-2.0
// Source: client.authentication.k8s.io/v1; client-go's plugin/pkg/client/auth/exec.
#include "kube/credentials.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <map>

#include "kube/base64.h"
#include "kube/time_text.h"
#include "util/unique_fd.h"

namespace topolb::kube {
namespace {

using namespace std::chrono_literals;

std::string answer(const std::string& status,
                   const std::string& version = "client.authentication.k8s.io/v1") {
  return R"({"kind":"ExecCredential","apiVersion":")" + version + R"(","status":{)" + status + "}}";
}

class CredentialsTest : public testing::Test {
 protected:
  Result<Credential> current(const ClusterConfig& config) {
    if (!credentials) {
      credentials = std::make_unique<Credentials>(
          config, Credentials::World{[this](const std::string& file, const std::string& name) {
                                       return files.contains(file)
                                                  ? Result<std::string>(files[file])
                                                  : make_error("read " + name + " " + file);
                                     },
                                     [this](const Program& program, const std::stop_token&) {
                                       runs.push_back(program);
                                       return printed;
                                     },
                                     [this] { return now; }});
    }
    return credentials->current({});
  }
  static ClusterConfig with_plugin() {
    ClusterConfig config;
    config.servers = {"https://h"};
    config.exec = ExecPlugin{.api_version = "client.authentication.k8s.io/v1",
                             .command = "login",
                             .args = {"token"},
                             .env = {{"A", "b"}},
                             .install_hint = "apt it"};
    return config;
  }

  std::map<std::string, std::string> files;
  Result<std::string> printed = std::string();
  std::vector<Program> runs;
  std::chrono::system_clock::time_point now = *parse_time("2026-01-01T00:00:00Z");
  std::unique_ptr<Credentials> credentials;
};

TEST_F(CredentialsTest, FilesAreReadEachTime) {
  ClusterConfig config;
  config.token.file = "/t";
  config.certificate_authority.file = "/ca";
  files = {{"/t", "one\n"}, {"/ca", "PEM"}};
  EXPECT_EQ(current(config)->token, "one");
  EXPECT_EQ(current(config)->tls.ca_pem, "PEM");
  files["/t"] = "two";
  EXPECT_EQ(current(config)->token, "two");
  files["/t"] = "";
  EXPECT_EQ(current(config).error().what, "read token /t: empty");
  files.erase("/t");
  EXPECT_EQ(current(config).error().what, "read token /t");
}

TEST_F(CredentialsTest, APluginRunsOnceUntilItsAnswerExpires) {
  printed = answer(R"("token":"t1","expirationTimestamp":"2026-01-01T01:00:00Z")");
  EXPECT_EQ(current(with_plugin())->token, "t1");
  printed = answer(R"("token":"t2")");
  EXPECT_EQ(current(with_plugin())->token, "t1");
  now += 59min + 55s;
  EXPECT_EQ(current(with_plugin())->token, "t2");
  now += 1000h;
  EXPECT_EQ(current(with_plugin())->token, "t2");
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(runs[0].argv, (std::vector<std::string>{"login", "token"}));
  EXPECT_EQ(runs[0].env,
            (std::vector<std::pair<std::string, std::string>>{
                {"A", "b"},
                {"KUBERNETES_EXEC_INFO",
                 R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1",)"
                 R"("spec":{"interactive":false}})"}}));
}

TEST_F(CredentialsTest, APluginRunsAgainAfterARefusal) {
  printed = answer(R"("token":"t1")");
  EXPECT_EQ(current(with_plugin())->token, "t1");
  credentials->rejected();
  printed = answer(R"("clientCertificateData":"C","clientKeyData":"K")");
  const auto credential = current(with_plugin());
  EXPECT_EQ(credential->token, "");
  EXPECT_EQ(credential->tls.certificate_pem, "C");
  EXPECT_EQ(credential->tls.key_pem, "K");
}

TEST_F(CredentialsTest, APluginMayAskForTheCluster) {
  ClusterConfig config = with_plugin();
  config.exec->provide_cluster_info = true;
  config.certificate_authority.data = "PEM";
  config.tls_server_name = "a\"b";
  printed = answer(R"("token":"t")");
  ASSERT_TRUE(current(config));
  EXPECT_EQ(runs[0].env.back().second,
            R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":)"
            R"({"interactive":false,"cluster":{"server":"https://h","certificate-authority-data":)"
            R"("UEVN","tls-server-name":"a\"b"}}})");
}

TEST_F(CredentialsTest, PluginErrorsNameThePlugin) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "printed no JSON object"},
      {"{}", "printed no ExecCredential"},
      {answer("", "client.authentication.k8s.io/v1beta1"),
       "printed apiVersion 'client.authentication.k8s.io/v1beta1' where "
       "client.authentication.k8s.io/v1 was asked for"},
      {answer(""), "gave neither token nor client certificate"},
      {answer(R"("clientKeyData":"K")"),
       "gave one of clientCertificateData and clientKeyData only"},
      {answer(R"("token":"t","expirationTimestamp":"soon")"),
       "expirationTimestamp 'soon' is no time"},
  };
  for (const auto& [text, error] : cases) {
    printed = text;
    EXPECT_EQ(current(with_plugin()).error().what, "credential plugin login: " + error);
  }
  printed = make_error("run login: exit code 1: not logged in");
  EXPECT_EQ(current(with_plugin()).error().what,
            "credential plugin: run login: exit code 1: not logged in (apt it)");
}

TEST(Time, Rfc3339) {
  const auto base = parse_time("2026-11-21T10:00:00Z");
  ASSERT_TRUE(base);
  EXPECT_EQ(base->time_since_epoch(), std::chrono::seconds(1795255200));
  EXPECT_EQ(parse_time("2026-11-21T10:00:00.123456Z"), *base + std::chrono::microseconds(123456));
  EXPECT_EQ(parse_time("2026-11-21T12:30:00+02:30"), base);
  EXPECT_EQ(parse_time("2026-11-21T08:00:00-02:00"), base);
  for (const char* wrong : {"", "2026-11-21", "2026-11-21T10:00:00", "2026-11-21T10:00:00.",
                            "2026-11-21T10:00:00ZZ", "2026-11-21T10:00:00+2"}) {
    EXPECT_FALSE(parse_time(wrong)) << wrong;
  }
}

TEST(Base64, BothWays) {
  for (const std::string text : {"", "f", "fo", "foo", "foob", "fooba", "foobar"}) {
    EXPECT_EQ(base64_decode(base64_encode(text)), text);
  }
  EXPECT_EQ(base64_encode("fooba"), "Zm9vYmE=");
  EXPECT_EQ(base64_encode("\xff\xfe\xfd"), "//79");
  EXPECT_EQ(base64_decode("Zm9v\nYmFy\n"), "foobar");
  for (const char* wrong : {"Zg", "Zg=", "Z===", "Zg==Zg==", "Z*==", "Zm9v="}) {
    EXPECT_FALSE(base64_decode(wrong)) << wrong;
  }
}

TEST(RunProgram, ForWhatItPrints) {
  EXPECT_EQ(*run_program({.argv = {"sh", "-c", "echo $A; echo x >&2"}, .env = {{"A", "b"}}}, {}),
            "b\n");
  EXPECT_EQ(
      run_program({.argv = {"sh", "-c", "echo one >&2; echo two >&2; exit 3"}}, {}).error().what,
      "run sh: exit code 3: two");
  EXPECT_EQ(run_program({.argv = {"no-such-program-here"}}, {}).error().message(),
            "run no-such-program-here: No such file or directory");
}

TEST(RunProgram, IsKilledWhenItTakesTooLongOrIsNotWantedAnyMore) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(run_program({.argv = {"sleep", "60"}, .timeout = 100ms}, {}).error().code,
            std::errc::timed_out);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(run_program({.argv = {"sleep", "60"}}, stop.get_token()).error().code,
            std::errc::operation_canceled);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
}

TEST(RunProgram, IsKilledWithWhatItHasStarted) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);  // inherited, so open for as long as one of them lives
  EXPECT_EQ(
      run_program({.argv = {"sh", "-c", "sleep 60; true"}, .timeout = 100ms}, {}).error().code,
      std::errc::timed_out);
  write_end.reset();
  pollfd closed{read_end.get(), POLLIN, 0};
  EXPECT_EQ(poll(&closed, 1, 10000), 1);
}

TEST(RunProgram, HasNoSignalBlocked) {
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigset_t before;
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &term, &before), 0);
  EXPECT_EQ(run_program({.argv = {"sh", "-c", "kill -TERM $$; exit 0"}}, {}).error().what,
            "run sh: signal 15: ");
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace
}  // namespace topolb::kube
