// SPDX-License-Identifier: Apache-2.0
#include "cli/object_name.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace topolb::cli {
namespace {

TEST(ObjectName, HasNamespaceNameAndPort) {
  const auto plain = parse_object_name("default/web");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->service, (core::ObjectKey{"default", "web"}));
  EXPECT_EQ(plain->port, "");
  const auto with_port = parse_object_name("default/web:http");
  ASSERT_TRUE(with_port);
  EXPECT_EQ(with_port->service, (core::ObjectKey{"default", "web"}));
  EXPECT_EQ(with_port->port, "http");
}

class NoObjectName : public testing::TestWithParam<const char*> {};

TEST_P(NoObjectName, IsAnErrorThatNamesTheText) {
  const auto name = parse_object_name(GetParam());
  ASSERT_FALSE(name);
  EXPECT_EQ(name.error().message(),
            fmt::format("'{}' is not NAMESPACE/NAME[:PORT], such as default/web", GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Texts, NoObjectName,
                         testing::Values("", "web", "/", "default/", "/web", "a/b/c",
                                         "default/web:", "default/:80", "web:80"));

TEST(ObjectName, MeansAPortByNumberOrName) {
  const core::ServicePortKey key{{"default", "web"}, 80, Protocol::TCP, Family::IPv4};
  EXPECT_TRUE(parse_object_name("default/web")->means(key, "http"));
  EXPECT_TRUE(parse_object_name("default/web:80")->means(key, "http"));
  EXPECT_TRUE(parse_object_name("default/web:http")->means(key, "http"));
  EXPECT_FALSE(parse_object_name("default/web:8080")->means(key, "http"));
  EXPECT_FALSE(parse_object_name("default/db")->means(key, "http"));
}

TEST(ObjectName, WhatIsMissingIsToldWithWhatThereIs) {
  const auto name = *parse_object_name("default/nope:x");
  EXPECT_EQ(no_such_service(name, {}), "no Service default/nope; there are no Services at all");
  EXPECT_EQ(no_such_service(name, {{"default", "db"}, {"default", "web"}, {"prod", "web"}}),
            "no Service default/nope; namespace default has db, web");
  EXPECT_EQ(no_such_service(name, {{"kube-system", "dns"}, {"prod", "db"}, {"prod", "web"}}),
            "no Service default/nope; there are Services in kube-system, prod");
  EXPECT_EQ(no_such_port(name, {"http (80/TCP)", "http (80/TCP)", "53/UDP"}),
            "Service default/nope has no port x, but http (80/TCP), 53/UDP");
}

TEST(ObjectName, OfManyNamesSomeAreShown) {
  std::vector<core::ObjectKey> services;
  for (int i = 100; i < 200; ++i) services.push_back({"default", "service-" + std::to_string(i)});
  EXPECT_EQ(no_such_service(*parse_object_name("default/nope"), services),
            "no Service default/nope; namespace default has "
            "service-100, service-101, service-102, service-103 +96 more");
}

}  // namespace
}  // namespace topolb::cli
