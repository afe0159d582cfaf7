// SPDX-License-Identifier: Apache-2.0
// Single objects read and written over the real transport, and the conflicts that the test API
// server answers with. Source: Kubernetes API conventions, "Concurrency Control and Consistency".
#include <gtest/gtest.h>

#include "kube/api_call.h"
#include "test_server_fixture.h"

namespace topolb::kube {
namespace {

class WriteTest : public TestServerFixture {
 protected:
  Result<std::string> call(const std::string& method, const std::string& path,
                           const std::string& body = "") {
    return call_api(*api_, {.method = method,
                            .target = path,
                            .content_type = method == "PATCH" ? kMergePatchBody
                                            : body.empty()    ? ""
                                                              : kJsonBody,
                            .body = body});
  }
  static web::json::value parse(const Result<std::string>& answer) {
    EXPECT_TRUE(answer) << answer.error().message();
    return answer ? web::json::value::parse(*answer) : web::json::value();
  }
  static int status(const Result<std::string>& answer) {
    return answer ? 200 : api_status_of(answer.error());
  }
  static std::string lease(const std::string& holder, const std::string& version = "") {
    return fmt::format(R"({{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{{)"
                       R"("namespace":"kube-system","name":"l","resourceVersion":"{}"}},)"
                       R"("spec":{{"holderIdentity":"{}"}}}})",
                       version, holder);
  }

  const std::string leases_ = object_path("/apis/coordination.k8s.io/v1", "kube-system", "leases");
  const std::string lease_ =
      object_path("/apis/coordination.k8s.io/v1", "kube-system", "leases", "l");
  const std::string service_ = object_path("/api/v1", "default", "services", "a");
  std::shared_ptr<Api> api_ = api(config());
};

TEST_F(WriteTest, CreatesOnceOnly) {
  EXPECT_EQ(status(call("GET", lease_)), kStatusNotFound);
  const auto created = parse(call("POST", leases_, lease("me")));
  EXPECT_EQ(created.at("spec").at("holderIdentity").as_string(), "me");
  EXPECT_EQ(status(call("POST", leases_, lease("you"))), kStatusConflict);
  EXPECT_EQ(parse(call("GET", lease_)), created);
}

TEST_F(WriteTest, ReplacesWhatHasNotChanged) {
  EXPECT_EQ(status(call("PUT", lease_, lease("me"))), kStatusNotFound);
  const auto created = parse(call("POST", leases_, lease("me")));
  const auto version = created.at("metadata").at("resourceVersion").as_string();
  EXPECT_EQ(status(call("PUT", lease_, lease("you", version))), 200);
  EXPECT_EQ(status(call("PUT", lease_, lease("him", version))), kStatusConflict);
  EXPECT_EQ(parse(call("GET", lease_)).at("spec").at("holderIdentity").as_string(), "you");
}

TEST_F(WriteTest, PatchesFieldsOfWhatHasNotChanged) {
  const auto before = parse(call("GET", service_));
  const auto version = before.at("metadata").at("resourceVersion").as_string();
  const auto patch = [&](const std::string& keys) {
    return fmt::format(
        R"({{"metadata":{{"resourceVersion":"{}","annotations":{{"topolb.io/topology-keys":{}}}}}}})",
        version, keys);
  };
  const auto after = parse(call("PATCH", service_, patch(R"("a/b")")));
  EXPECT_EQ(after.at("metadata").at("annotations").at("topolb.io/topology-keys").as_string(),
            "a/b");
  EXPECT_EQ(after.at("spec"), before.at("spec"));
  EXPECT_EQ(status(call("PATCH", service_, patch("null"))), kStatusConflict);
  const auto removed = parse(
      call("PATCH", service_, R"({"metadata":{"annotations":{"topolb.io/topology-keys":null}}})"));
  EXPECT_FALSE(removed.at("metadata").at("annotations").has_field("topolb.io/topology-keys"));
}

TEST_F(WriteTest, WatchesSeeWhatIsWritten) {
  ClusterView view(api_);
  ASSERT_TRUE(view.wait_synced()) << view.errors();
  EXPECT_EQ(status(call("DELETE", service_)), 200);
  EXPECT_TRUE(view.wait([&] { return view.find("Service/default/a") == nullptr; }));
  EXPECT_EQ(status(call("DELETE", service_)), kStatusNotFound);
}

}  // namespace
}  // namespace topolb::kube
