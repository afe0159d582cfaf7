// SPDX-License-Identifier: Apache-2.0
// The operations from one plan to the next. Source: design.md 6 (order of operations: new
// backends, tables, service entries, then deletes), cluster_state.h.
#include <gtest/gtest.h>

#include <ostream>

#include "cluster_text.h"
#include "kernel_model.h"

namespace topolb::core {
namespace {

using test::ip;

ServicePortPlan plan_of(const std::string& name, const std::string& address,
                        std::uint16_t port = 80, Protocol protocol = Protocol::TCP) {
  ServicePortPlan plan;
  plan.key = {{"default", name}, port, protocol, Family::IPv4};
  plan.frontends = {{FrontendKind::ClusterIP, ip(address), port}};
  plan.internal = {Verdict::Forward, {{"", {{ip("10.1.0.1"), 8080}}}}, {}, false};
  return plan;
}

ServicePortPlan with(ServicePortPlan plan, const std::vector<Frontend>& frontends) {
  plan.frontends.insert(plan.frontends.end(), frontends.begin(), frontends.end());
  return plan;
}

ServicePortPlan web() { return plan_of("web", "10.96.0.1"); }

const Frontend kExternal{FrontendKind::ExternalIP, ip("192.0.2.1"), 80};
const Frontend kLoadBalancer{FrontendKind::LoadBalancer, ip("192.0.2.1"), 80};

struct Case {
  std::string what;
  std::vector<ServicePortPlan> before, after;
  std::vector<std::string> operations;
};

std::ostream& operator<<(std::ostream& out, const Case& one) { return out << one.what; }

class Diff : public testing::TestWithParam<Case> {};

TEST_P(Diff, SaysWhatChanges) {
  const auto operations = diff(GetParam().before, GetParam().after);
  EXPECT_EQ(test::texts_of(operations), GetParam().operations);
  test::KernelModel kernel;
  kernel.execute(diff({}, GetParam().before));
  kernel.expect_equals(GetParam().before);
  kernel.execute(operations);
  kernel.expect_equals(GetParam().after);
  // Each operation is idempotent as a state: nothing is left to do.
  EXPECT_TRUE(diff(GetParam().after, GetParam().after).empty());
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Diff,
    testing::Values(
        Case{"nothing", {}, {}, {}}, Case{"equal", {web()}, {web()}, {}},
        Case{"a new service", {}, {web()}, {"publish web:80/TCP/IPv4", "add 10.96.0.1:80"}},
        Case{"a gone one", {web()}, {}, {"remove 10.96.0.1:80", "delete web:80/TCP/IPv4"}},
        Case{"a frontend more", {web()}, {with(web(), {kExternal})}, {"add 192.0.2.1:80"}},
        Case{"a frontend less", {with(web(), {kExternal})}, {web()}, {"remove 192.0.2.1:80"}},
        Case{"another kind of frontend",
             {with(web(), {kExternal})},
             {with(web(), {kLoadBalancer})},
             {"add 192.0.2.1:80"}},
        Case{"another address",
             {web()},
             {plan_of("web", "10.96.0.2")},
             {"add 10.96.0.2:80", "remove 10.96.0.1:80"}},
        Case{"a frontend moves to a later service",
             {with(web(), {kExternal}), plan_of("zoo", "10.96.0.2")},
             {web(), with(plan_of("zoo", "10.96.0.2"), {kExternal})},
             {"add 192.0.2.1:80"}},
        Case{"a frontend moves to an earlier service",
             {plan_of("api", "10.96.0.2"), with(web(), {kExternal})},
             {with(plan_of("api", "10.96.0.2"), {kExternal}), web()},
             {"add 192.0.2.1:80"}},
        Case{"a service is replaced on its address",
             {web()},
             {plan_of("zoo", "10.96.0.1")},
             {"publish zoo:80/TCP/IPv4", "add 10.96.0.1:80", "delete web:80/TCP/IPv4"}},
        Case{"what adds goes before all deletes",
             {plan_of("a", "10.96.0.1"), plan_of("c", "10.96.0.3")},
             {plan_of("b", "10.96.0.2"), plan_of("d", "10.96.0.4")},
             {"publish b:80/TCP/IPv4", "add 10.96.0.2:80", "publish d:80/TCP/IPv4",
              "add 10.96.0.4:80", "remove 10.96.0.1:80", "delete a:80/TCP/IPv4",
              "remove 10.96.0.3:80", "delete c:80/TCP/IPv4"}},
        Case{"the same address in another protocol is another frontend",
             {web()},
             {plan_of("web", "10.96.0.1", 80, Protocol::UDP)},
             {"publish web:80/UDP/IPv4", "add 10.96.0.1:80", "remove 10.96.0.1:80",
              "delete web:80/TCP/IPv4"}},
        Case{"SCTP is not in the datapath",
             {plan_of("a", "10.96.0.1", 80, Protocol::SCTP)},
             {plan_of("b", "10.96.0.1", 80, Protocol::SCTP)},
             {}},
        Case{"SCTP in between",
             {web()},
             {plan_of("api", "10.96.0.2", 80, Protocol::SCTP), web()},
             {}}));

TEST(Diff, PublishesWhateverTheKernelHolds) {
  const std::vector<ServicePortPlan> before{web()};
  std::vector<std::pair<std::string, ServicePortPlan>> changes(8, {"", web()});
  changes[0] = {"affinity", web()};
  changes[0].second.affinity_timeout_s = 60;
  changes[1] = {"port name", web()};
  changes[1].second.port_name = "http";
  changes[2] = {"verdict", web()};
  changes[2].second.internal = {Verdict::Drop, {}, {}, false};
  changes[3] = {"a backend", web()};
  changes[3].second.internal.tiers[0].backends.push_back({ip("10.1.0.2"), 8080});
  changes[4] = {"a terminating backend", web()};
  changes[4].second.internal.terminating_tiers = {{"", {{ip("10.1.0.2"), 8080}}}};
  changes[5] = {"a tier's key", web()};
  changes[5].second.internal.tiers[0].key = "rack";
  changes[6] = {"external traffic", web()};
  changes[6].second.external = web().internal;
  changes[7] = {"this node's sockets to external frontends", web()};
  changes[7].second.node_external = web().internal;
  for (const auto& [what, after] : changes) {
    EXPECT_EQ(test::texts_of(diff(before, {after})),
              std::vector<std::string>{"publish web:80/TCP/IPv4"})
        << what;
  }
}

}  // namespace
}  // namespace topolb::core
