// SPDX-License-Identifier: Apache-2.0
// One request, one answer. Source of the statuses: Kubernetes API conventions, "HTTP Status codes".
#include "kube/api_call.h"

#include <gtest/gtest.h>

#include "scripted_api.h"

namespace topolb::kube {
namespace {

constexpr const char* kForbidden =
    R"({"kind":"Status","message":"services \"web\" is forbidden","reason":"Forbidden","code":403})";

class ApiCallTest : public testing::Test {
 protected:
  Result<std::string> call() {
    return call_api(api, {.method = "PATCH",
                          .target = "/api/v1/namespaces/default/services/web?fieldManager=topolb",
                          .content_type = kMergePatchBody,
                          .body = R"({"metadata":{}})"});
  }
  ScriptedApi api;
};

TEST_F(ApiCallTest, GivesTheWholeAnswer) {
  api.answers = {{.pieces = {R"({"kind":)", R"("Service"})"}}};
  const auto answer = call();
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_EQ(*answer, R"({"kind":"Service"})");
  ASSERT_EQ(api.requests.size(), 1U);
  EXPECT_EQ(api.requests[0].method, "PATCH");
  EXPECT_EQ(api.requests[0].content_type, "application/merge-patch+json");
  EXPECT_EQ(api.requests[0].body, R"({"metadata":{}})");
}

TEST_F(ApiCallTest, SaysWhyItWasRefused) {
  struct Case {
    int status;
    const char* body;
    const char* message;
  };
  for (const Case& refused :
       {Case{403, kForbidden, "services \"web\" is forbidden: HTTP status 403"},
        Case{409, R"({"kind":"Status","message":"changed","code":409})",
             "changed: HTTP status 409"},
        Case{502, "<html>", "the API server refused: HTTP status 502"}}) {
    api.answers = {{.status = refused.status, .pieces = {refused.body}}};
    const auto answer = call();
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().message(),
              std::string("PATCH /api/v1/namespaces/default/services/web: ") + refused.message);
    EXPECT_EQ(api_status_of(answer.error()), refused.status);
  }
}

TEST_F(ApiCallTest, WhatIsNoJsonObjectIsNoAnswer) {
  for (const char* body : {"", "[]", R"({"kind":"Serv)", "<html></html>"}) {
    api.answers = {{.pieces = {body}}};
    const auto answer = call();
    ASSERT_FALSE(answer) << body;
    EXPECT_EQ(answer.error().message(),
              "PATCH /api/v1/namespaces/default/services/web: the answer is no JSON object");
  }
}

TEST_F(ApiCallTest, ABrokenConnectionIsNoAnswer) {
  api.answers = {{.pieces = {"{}"}, .broken = connection_lost()}};
  const auto answer = call();
  ASSERT_FALSE(answer);
  EXPECT_EQ(api_status_of(answer.error()), 0);
  EXPECT_EQ(api.requests.size(), 1U) << "it may have been done";
}

TEST_F(ApiCallTest, TriesAgainWhatWasNotDone) {
  const Answer done{.pieces = {"{}"}};
  const Answer overloaded{.status = 429, .retry_after = std::chrono::seconds(0)};
  api.answers = {overloaded, overloaded, overloaded, done};
  EXPECT_TRUE(call());
  api.answers = {overloaded, overloaded, overloaded, overloaded, done};
  EXPECT_FALSE(call()) << "four times only";

  const Answer unauthorized{.status = 401};
  api.answers = {unauthorized, done};
  EXPECT_TRUE(call());
  api.answers = {unauthorized, unauthorized, done};
  EXPECT_FALSE(call()) << "twice only";

  api.answers = {{.status = 429, .retry_after = std::chrono::seconds(3600)}, done};
  EXPECT_FALSE(call()) << "nobody waits an hour";
}

TEST(ObjectPath, NamesObjectsAndCollections) {
  EXPECT_EQ(object_path("/api/v1", "default", "services", "web"),
            "/api/v1/namespaces/default/services/web");
  EXPECT_EQ(object_path("/api/v1", "", "nodes", "n1"), "/api/v1/nodes/n1");
  EXPECT_EQ(object_path("/apis/events.k8s.io/v1", "a/b", "events"),
            "/apis/events.k8s.io/v1/namespaces/a%2Fb/events");
}

}  // namespace
}  // namespace topolb::kube
