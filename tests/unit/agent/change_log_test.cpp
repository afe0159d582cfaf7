// SPDX-License-Identifier: Apache-2.0
// Every operation is one line that a person can read.
#include "agent/change_log.h"

#include <gtest/gtest.h>

namespace topolb::agent {
namespace {

const core::ServicePortKey kWeb{{"default", "web"}, 80, Protocol::TCP, Family::IPv4};

SocketAddress backend(const char* address) { return {*IpAddress::parse(address), 8080}; }

core::TrafficPlan forward(std::vector<core::Tier> tiers) {
  const bool has_keys = !tiers.front().key.empty();
  return {.verdict = core::Verdict::Forward,
          .tiers = std::move(tiers),
          .terminating_tiers = {},
          .has_keys = has_keys};
}

core::TrafficPlan without_backends(core::Verdict verdict) {
  return {.verdict = verdict, .tiers = {}, .terminating_tiers = {}, .has_keys = false};
}

std::string publish(const core::TrafficPlan& internal,
                    const std::optional<core::TrafficPlan>& external = std::nullopt) {
  core::ServicePortPlan plan{.key = kWeb};
  plan.internal = internal;
  plan.external = external;
  return describe(core::PublishService{core::share({plan}).front()});
}

TEST(ChangeLog, Services) {
  const auto one = forward({{"", {backend("10.1.0.1")}}});
  const auto two = forward({{"", {backend("10.1.0.1"), backend("10.1.0.2")}}});
  EXPECT_EQ(publish(one), "service default/web:80/TCP IPv4: 1 backend");
  EXPECT_EQ(publish(two), "service default/web:80/TCP IPv4: 2 backends");
  EXPECT_EQ(publish(without_backends(core::Verdict::Reject)),
            "service default/web:80/TCP IPv4: reject");
  EXPECT_EQ(publish(without_backends(core::Verdict::Drop)),
            "service default/web:80/TCP IPv4: drop");
}

TEST(ChangeLog, TheTierThatDecides) {
  const auto keyed = forward({{"kubernetes.io/hostname", {}},
                              {"rack", {backend("10.1.0.1")}},
                              {"*", {backend("10.1.0.1"), backend("10.1.0.2")}}});
  EXPECT_EQ(publish(keyed), "service default/web:80/TCP IPv4: 1 backend of tier rack");
}

TEST(ChangeLog, ExternalTrafficWhereItDiffers) {
  const auto one = forward({{"", {backend("10.1.0.1")}}});
  EXPECT_EQ(publish(one, one), "service default/web:80/TCP IPv4: 1 backend");
  EXPECT_EQ(publish(one, without_backends(core::Verdict::Drop)),
            "service default/web:80/TCP IPv4: 1 backend; from outside drop");
}

TEST(ChangeLog, Frontends) {
  const core::Frontend ipv4{core::FrontendKind::ClusterIP, *IpAddress::parse("10.96.0.1"), 80};
  const core::Frontend ipv6{core::FrontendKind::NodePort, *IpAddress::parse("::"), 30080};
  core::ServicePortKey dns{{"kube-system", "dns"}, 53, Protocol::UDP, Family::IPv6};
  EXPECT_EQ(describe(core::AddFrontend{kWeb, ipv4}),
            "service default/web:80/TCP IPv4: frontend ClusterIP 10.96.0.1:80 added");
  EXPECT_EQ(describe(core::RemoveFrontend{dns, ipv6}),
            "service kube-system/dns:53/UDP IPv6: frontend NodePort [::]:30080 removed");
  EXPECT_EQ(describe(core::RemoveService{kWeb}), "service default/web:80/TCP IPv4: removed");
}

}  // namespace
}  // namespace topolb::agent
