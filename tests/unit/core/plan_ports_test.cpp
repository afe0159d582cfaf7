// SPDX-License-Identifier: Apache-2.0
// Service ports, families, frontends, and slices merged. Sources: design.md 3.1; kube-proxy
// pkg/proxy/endpointslicecache.go (merging) and servicechangetracker.go (families).
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>

#include "cluster_text.h"
#include "core/plan.h"

namespace topolb::core {
namespace {

using test::endpoint;
using test::ip;
using test::MergedEndpoints;
using test::Nodes;
using test::text_of;
using test::web_service;
using test::web_slice;

NodeView view() {
  static const Nodes all({"n1:"});
  return all.view("n1");
}

std::vector<std::string> backends(const std::vector<PortEndpoint>& endpoints) {
  std::vector<std::string> texts;
  texts.reserve(endpoints.size());
  for (const PortEndpoint& one : endpoints) texts.push_back(one.backend.to_string());
  return texts;
}

TEST(EndpointsOf, MergesSlicesByPortNameAndProtocol) {
  EndpointSlice http = web_slice({"2", "1"}, "b");
  http.ports = {{"http", Protocol::TCP, 8080}, {"http", Protocol::UDP, 8081}};
  EndpointSlice other_number = web_slice({"3", "1"}, "a");
  other_number.ports = {{"http", Protocol::TCP, 9090}};
  EndpointSlice unnamed = web_slice({"4"}, "c");
  EndpointSlice no_number = web_slice({"5"}, "d");
  no_number.ports = {{"http", Protocol::TCP, 0}};
  const std::vector<EndpointSlice> slices{http, other_number, unnamed, no_number};
  using Texts = std::vector<std::string>;
  EXPECT_EQ(backends(MergedEndpoints(slices).of_port({"http", 80, Protocol::TCP, 0}, Family::IPv4)),
            (Texts{"10.1.0.1:8080", "10.1.0.1:9090", "10.1.0.2:8080", "10.1.0.3:9090"}));
  EXPECT_EQ(backends(MergedEndpoints(slices).of_port({"http", 80, Protocol::UDP, 0}, Family::IPv4)),
            (Texts{"10.1.0.1:8081", "10.1.0.2:8081"}));
  EXPECT_EQ(backends(MergedEndpoints(slices).of_port({"", 80, Protocol::TCP, 0}, Family::IPv4)),
            Texts{"10.1.0.4:8080"});
  EXPECT_EQ(backends(MergedEndpoints(slices).of_port({"", 8080, Protocol::SCTP, 0}, Family::IPv4)),
            Texts{});
}

struct DuplicateCase {
  std::string rule;
  std::string worse, better;  // both at one address
};

std::ostream& operator<<(std::ostream& out, const DuplicateCase& one) { return out << one.rule; }

class Duplicates : public testing::TestWithParam<DuplicateCase> {};

TEST_P(Duplicates, TheBetterOneWinsInAnyOrder) {
  const Endpoint better = endpoint(GetParam().better);
  for (const bool better_first : {false, true}) {
    const std::string& first = better_first ? GetParam().better : GetParam().worse;
    const std::string& second = better_first ? GetParam().worse : GetParam().better;
    const std::vector<std::vector<EndpointSlice>> layouts{
        {web_slice({first, second})},
        {web_slice({first}, "a"), web_slice({second}, "b")},
        {web_slice({first}, "b"), web_slice({second}, "a")}};
    for (const auto& slices : layouts) {
      const MergedEndpoints endpoints(slices);
      const auto merged = endpoints.of_port(web_service().ports[0], Family::IPv4);
      ASSERT_EQ(merged.size(), 1U);
      EXPECT_EQ(*merged[0].placement, better);
      EXPECT_EQ(merged[0].ready, better.ready);
      EXPECT_EQ(merged[0].serving, better.serving);
      EXPECT_EQ(merged[0].terminating, better.terminating);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Design31, Duplicates,
    testing::Values(
        DuplicateCase{"not terminating wins over terminating", "1@n2 terminating", "1@n1"},
        DuplicateCase{"even over one that is ready", "1@n2 ready-terminating", "1@n1 unready"},
        DuplicateCase{"then ready", "1@n2 unready", "1@n1"},
        DuplicateCase{"then serving", "1@n2 gone", "1@n1 terminating"},
        DuplicateCase{"serving, none terminating", "1@n2 unready", "1@n1 serving"}));

TEST(EndpointsOf, EqualDuplicatesAreDecidedByTheSliceName) {
  const std::vector<EndpointSlice> slices{web_slice({"1@n2"}, "b"), web_slice({"1@n1"}, "a")};
  const MergedEndpoints endpoints(slices);
  const auto merged = endpoints.of_port(web_service().ports[0], Family::IPv4);
  ASSERT_EQ(merged.size(), 1U);
  EXPECT_EQ(merged[0].placement->node_name, "n1");
}

TEST(EndpointsOf, AddressesOfTheOtherFamilyAreLeftOut) {
  EndpointSlice mixed = web_slice({"1"});
  mixed.endpoints.push_back(Endpoint{.address = ip("2001:db8::1")});
  const std::vector<EndpointSlice> slices{mixed};
  EXPECT_EQ(MergedEndpoints(slices).of_port(web_service().ports[0], Family::IPv4).size(), 1U);
  EXPECT_TRUE(MergedEndpoints(slices).of_port(web_service().ports[0], Family::IPv6).empty());
}

TEST(PlanService, EachFamilyIsAServicePortOfItsOwn) {
  Service service = web_service();
  service.cluster_ips = {ip("2001:db8::10"), ip("10.96.0.1")};
  service.external_ips = {ip("192.0.2.1")};
  EndpointSlice six = web_slice({}, "web-6");
  six.family = Family::IPv6;
  six.endpoints.push_back(Endpoint{{.node_name = "n1"}, ip("2001:db8::1")});
  const std::vector<EndpointSlice> slices{web_slice({"1@n1", "2@n1"}), six};
  const auto plan = plan_service(service, MergedEndpoints(slices), view());
  ASSERT_EQ(plan.ports.size(), 2U);
  EXPECT_EQ(plan.ports[0].key,
            (ServicePortKey{{"default", "web"}, 80, Protocol::TCP, Family::IPv4}));
  EXPECT_EQ(plan.ports[1].key.family, Family::IPv6);
  EXPECT_EQ(plan.ports[0].internal.tiers.at(0).backends.size(), 2U);
  EXPECT_EQ(plan.ports[1].internal.tiers.at(0).backends.size(), 1U);
  // An external frontend in one family only.
  EXPECT_TRUE(plan.ports[0].external.has_value());
  EXPECT_FALSE(plan.ports[1].external.has_value());
  EXPECT_FALSE(plan.ports[1].node_external.has_value());
}

TEST(PlanService, HasNoFamilyWithoutClusterIp) {
  Service service = web_service();
  service.external_ips = {ip("2001:db8::1")};
  service.ports[0].node_port = 30080;
  const auto plan = plan_service(service, MergedEndpoints({}), view());
  ASSERT_EQ(plan.ports.size(), 1U);
  const std::vector<Frontend> frontends{{FrontendKind::ClusterIP, ip("10.96.0.1"), 80},
                                        {FrontendKind::NodePort, ip("0.0.0.0"), 30080}};
  EXPECT_EQ(plan.ports[0].frontends, frontends);
  service.cluster_ips.clear();
  EXPECT_TRUE(plan_service(service, MergedEndpoints({}), view()).ports.empty());
}

TEST(PlanService, FrontendsAreSortedAndThereOnce) {
  Service service = web_service();
  service.cluster_ips = {ip("2001:db8::10")};
  service.ports[0].node_port = 30080;
  service.load_balancer_ips = {ip("2001:db8::22"), ip("2001:db8::21"), ip("2001:db8::12")};
  service.external_ips = {ip("2001:db8::12"), ip("2001:db8::11"), ip("2001:db8::11")};
  const auto plan = plan_service(service, MergedEndpoints({}), view());
  const std::vector<Frontend> frontends{
      {FrontendKind::ClusterIP, ip("2001:db8::10"), 80},
      {FrontendKind::NodePort, ip("::"), 30080},
      {FrontendKind::ExternalIP, ip("2001:db8::11"), 80},
      {FrontendKind::ExternalIP, ip("2001:db8::12"), 80},  // as LoadBalancer no second time
      {FrontendKind::LoadBalancer, ip("2001:db8::21"), 80},
      {FrontendKind::LoadBalancer, ip("2001:db8::22"), 80}};
  EXPECT_EQ(plan.ports.at(0).frontends, frontends);
}

TEST(PlanService, PortsAreSortedAndCarryNameAndAffinity) {
  Service service = web_service();
  service.affinity_timeout_s = 10800;
  service.ports = {{"b", 443, Protocol::TCP, 0},
                   {"dns", 53, Protocol::UDP, 0},
                   {"dns-tcp", 53, Protocol::TCP, 0}};
  const auto plan = plan_service(service, MergedEndpoints({}), view());
  ASSERT_EQ(plan.ports.size(), 3U);
  EXPECT_EQ(plan.ports[0].port_name, "dns-tcp");
  EXPECT_EQ(plan.ports[1].port_name, "dns");
  EXPECT_EQ(plan.ports[2].port_name, "b");
  EXPECT_EQ(plan.ports[2].affinity_timeout_s, 10800U);
  EXPECT_TRUE(plan.problems.empty());
}

TEST(PlanService, SctpIsPlannedAndAProblem) {
  Service service = web_service();
  service.ports[0].protocol = Protocol::SCTP;
  EndpointSlice slice = web_slice({"1@n1"});
  slice.ports[0].protocol = Protocol::SCTP;
  const std::vector<EndpointSlice> slices{slice};
  const auto plan = plan_service(service, MergedEndpoints(slices), view());
  EXPECT_EQ(text_of(plan.ports.at(0).internal), "forward: 1");
  ASSERT_EQ(plan.problems.size(), 1U);
  EXPECT_EQ(plan.problems[0].reason, "UnsupportedProtocol");
}

TEST(PlanService, APortThatIsThereTwiceIsServedOnce) {
  Service service = web_service();
  service.ports = {{"a", 80, Protocol::TCP, 0}, {"b", 80, Protocol::TCP, 0}};
  const auto plan = plan_service(service, MergedEndpoints({}), view());
  ASSERT_EQ(plan.ports.size(), 1U);
  EXPECT_EQ(plan.ports[0].port_name, "a");
  ASSERT_EQ(plan.problems.size(), 1U);
  EXPECT_EQ(plan.problems[0].reason, "DuplicatePort");
}

TEST(PlanService, DependsOnNoOrder) {
  Service service = web_service();
  std::vector<EndpointSlice> slices{web_slice({"3@n1", "1@n1"}, "c"),
                                    web_slice({"1@n2 terminating", "2@n1"}, "a"),
                                    web_slice({"2@n2 unready", "4@n1"}, "b")};
  const auto expected = plan_service(service, MergedEndpoints(slices), view());
  std::reverse(slices.begin(), slices.end());
  for (EndpointSlice& slice : slices) std::reverse(slice.endpoints.begin(), slice.endpoints.end());
  EXPECT_EQ(plan_service(service, MergedEndpoints(slices), view()), expected);
  EXPECT_EQ(text_of(expected.ports.at(0).internal), "forward: 1 2 3 4");
}

}  // namespace
}  // namespace topolb::core
