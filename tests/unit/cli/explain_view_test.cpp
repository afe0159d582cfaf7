// SPDX-License-Identifier: Apache-2.0
#include "cli/explain_view.h"

#include <gtest/gtest.h>

#include <sstream>

#include "cli_run.h"

namespace topolb::cli {
namespace {

using core::EndpointExplanation;
using core::EndpointState;
using core::TrafficExplanation;
using core::Verdict;

EndpointExplanation endpoint(const std::string& address, const std::string& node, bool chosen,
                             const std::string& reason) {
  return {.backend = {IpAddress::parse(address).value(), 8080},
          .node = node,
          .zone = node.empty() ? "" : "z1",
          .state = EndpointState::Ready,
          .chosen = chosen,
          .first_key = chosen ? "topology.kubernetes.io/zone" : "",
          .reason = reason};
}

ExplainView web() {
  ExplainView view{.node = "n1", .service = {"default", "web"}, .explanation = {}};
  view.explanation.topology_keys = {"kubernetes.io/hostname", "topology.kubernetes.io/zone"};
  core::PortExplanation port;
  port.key = {view.service, 80, Protocol::TCP, Family::IPv4};
  port.port_name = "http";
  port.internal = {.verdict = Verdict::Forward,
                   .tier = "topology.kubernetes.io/zone",
                   .reason = "tier 2 of 2: topology.kubernetes.io/zone=z1",
                   .endpoints = {endpoint("10.1.0.5", "n2", true, "matches zone=z1"),
                                 endpoint("10.1.0.6", "n9", false, "its node n9 is unknown"),
                                 endpoint("10.1.0.7", "n2", true, "matches zone=z1"),
                                 endpoint("10.1.0.8", "", false, "it has no node")}};
  view.explanation.ports = {port};
  return view;
}

std::string text_of(const ExplainView& view) {
  std::ostringstream out;
  print_explanation(out, view);
  return out.str();
}

constexpr const char* kHead =
    "Service        default/web\n"
    "Node           n1\n"
    "Topology keys  kubernetes.io/hostname\n"
    "               topology.kubernetes.io/zone\n"
    "\n"
    "Port 80/TCP http, IPv4\n"
    "\n";
constexpr const char* kEndpoints =
    "  tier 2 of 2: topology.kubernetes.io/zone=z1\n"
    "    ENDPOINT       NODE  ZONE  STATE\n"
    "  in:  matches zone=z1\n"
    "    10.1.0.5:8080  n2    z1    ready\n"
    "    10.1.0.7:8080  n2    z1    ready\n"
    "  out: it has no node\n"
    "    10.1.0.8:8080  -     -     ready\n"
    "  out: its node n9 is unknown\n"
    "    10.1.0.6:8080  n9    z1    ready\n";

TEST(ExplainView, GroupsTheEndpointsByReason) {
  EXPECT_EQ(text_of(web()), std::string(kHead) + "Internal traffic: forward\n" + kEndpoints);
}

TEST(ExplainView, SaysOnceWhatIsTrueOfBothKindsOfTraffic) {
  ExplainView view = web();
  view.explanation.ports[0].external = view.explanation.ports[0].internal;
  EXPECT_EQ(text_of(view),
            std::string(kHead) + "Internal and external traffic: forward\n" + kEndpoints);
}

TEST(ExplainView, TellsTheKindsOfTrafficApart) {
  ExplainView view = web();
  view.explanation.ports[0].external = {
      .verdict = Verdict::Reject, .tier = "", .reason = "no endpoint is ready", .endpoints = {}};
  EXPECT_EQ(text_of(view), std::string(kHead) + "Internal traffic: forward\n" + kEndpoints +
                               "\n"
                               "External traffic: reject\n"
                               "  no endpoint is ready\n");
}

TEST(ExplainView, ShowsWhyKeysAreNotInForce) {
  ExplainView view{.node = "n1", .service = {"default", "db"}, .explanation = {}};
  view.explanation.problems = {{"Service", "default", "db", "InvalidTopologyKeys", "17 keys"}};
  EXPECT_EQ(text_of(view),
            "Service        default/db\n"
            "Node           n1\n"
            "Topology keys  none in force\n"
            "\n"
            "1 problem:\n"
            "Service  default/db  InvalidTopologyKeys\n"
            "    17 keys\n");
}

TEST(ExplainView, ShortensLongGroupsAndKeepsToEightyColumns) {
  ExplainView view = web();
  auto& endpoints = view.explanation.ports[0].internal.endpoints;
  for (int i = 10; i < 40; ++i) {
    endpoints.push_back(endpoint(
        "10.1.0." + std::to_string(i), std::string(60, 'n'), false,
        "label topology.kubernetes.io/zone is " + std::string(40, 'z') + " on its node, z1 here"));
  }
  const std::string text = text_of(view);
  EXPECT_NE(text.find("\n    +10 more\n"), std::string::npos) << text;
  EXPECT_LE(widest_line(text), 80U) << text;
}

TEST(ExplainView, JsonHasEveryEndpoint) {
  ExplainView view = web();
  view.explanation.ports[0].internal.endpoints.resize(2);
  std::ostringstream out;
  print_explanation_json(out, view);
  EXPECT_EQ(out.str(),
            R"({"node": "n1",
 "namespace": "default",
 "name": "web",
 "topology_keys": ["kubernetes.io/hostname", "topology.kubernetes.io/zone"],
 "ports": [
  {"port": {"name": "http", "number": 80, "protocol": "TCP"}, "family": "IPv4", )"
            R"("internal": {"verdict": "forward", "tier": "topology.kubernetes.io/zone", )"
            R"("reason": "tier 2 of 2: topology.kubernetes.io/zone=z1", "endpoints": [)"
            R"({"backend": "10.1.0.5:8080", "node": "n2", "zone": "z1", "state": "ready", )"
            R"("chosen": true, "first_key": "topology.kubernetes.io/zone", )"
            R"("reason": "matches zone=z1"}, )"
            R"({"backend": "10.1.0.6:8080", "node": "n9", "zone": "z1", "state": "ready", )"
            R"("chosen": false, "first_key": null, "reason": "its node n9 is unknown"}]}, )"
            R"("external": null}],
 "problems": []}
)");
}

}  // namespace
}  // namespace topolb::cli
