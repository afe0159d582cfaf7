// SPDX-License-Identifier: Apache-2.0
#include "cli/flow_view.h"

#include <gtest/gtest.h>

#include <sstream>

#include "maps/flow_table.h"

namespace topolb::cli {
namespace {

using dataplane::KernelService;

SocketAddress at(const char* address, std::uint16_t port) {
  return {IpAddress::parse(address).value(), port};
}

KernelService service_named(const char* name) {
  KernelService service;
  service.key = {{"default", name}, 80, Protocol::TCP, Family::IPv4};
  service.port_name = "http";
  return service;
}

FlowView flow_of(const KernelService* service) {
  return {.service = service,
          .protocol = Protocol::TCP,
          .frontend = at("192.0.2.10", 30080),
          .client = at("198.51.100.7", 40000),
          .source = at("192.0.2.10", 12345),
          .backend = at("10.1.2.5", 8080),
          .masqueraded = true,
          .tier = "topology.kubernetes.io/zone",
          .state = "established",
          .age_s = 7200,
          .idle_s = 3};
}

TEST(FlowView, StatesAreThoseOfTheirTimeouts) {
  const struct {
    Protocol protocol;
    std::uint32_t state;
    std::uint64_t idle_s;
    const char* text;
  } cases[] = {
      {Protocol::TCP, TOPOLB_FLOW_MASQUERADED, 59, "opening"},
      {Protocol::TCP, TOPOLB_FLOW_MASQUERADED, 62, "expired"},
      {Protocol::TCP, TOPOLB_FLOW_REPLIED, 80000, "established"},
      {Protocol::TCP, TOPOLB_FLOW_REPLIED | TOPOLB_FLOW_CLIENT_FIN, 3000, "half-closed"},
      {Protocol::TCP, TOPOLB_FLOW_REPLIED | TOPOLB_FLOW_BACKEND_FIN, 0, "half-closed"},
      {Protocol::TCP, TOPOLB_FLOW_REPLIED | TOPOLB_FLOW_CLOSED, 5, "closed"},
      {Protocol::TCP, TOPOLB_FLOW_REPLIED | TOPOLB_FLOW_CLOSED, 12, "expired"},
      {Protocol::TCP, TOPOLB_FLOW_REPLIED | TOPOLB_FLOW_RESET, 0, "reset"},
      {Protocol::UDP, 0, 20, "unreplied"},
      {Protocol::UDP, 0, 32, "expired"},
      {Protocol::UDP, TOPOLB_FLOW_REPLIED, 100, "replied"},
  };
  for (const auto& tested : cases) {
    topolb_flow flow{};
    flow.protocol = static_cast<std::uint8_t>(tested.protocol);
    flow.state = tested.state;
    flow.touched = 1000;
    const auto now = flow.touched + topolb_flow_time(tested.idle_s * 1'000'000'000);
    EXPECT_EQ(flow_state(flow, now), tested.text) << tested.state << " " << tested.idle_s;
  }
}

TEST(FlowView, ListIsByServiceFrontendClient) {
  const auto api = service_named("api");
  const auto web = service_named("web");
  auto gone = flow_of(nullptr);
  gone.frontend = at("10.96.0.1", 80);
  auto second = flow_of(&web);
  second.client = at("198.51.100.8", 1);
  second.source = second.client;
  second.masqueraded = false;
  second.tier = "";
  auto ipv6 = flow_of(&web);
  ipv6.frontend = at("2001:db8::10", 30080);
  ipv6.client = at("2001:db8:5::7", 40000);
  ipv6.backend = at("fd00:1::5", 8080);
  std::vector<FlowView> flows{gone, ipv6, second, flow_of(&web), flow_of(&api)};
  sort_flows(flows);
  std::ostringstream out;
  print_flow_list(out, flows);
  EXPECT_EQ(out.str(),
            "  CLIENT                 AS      BACKEND           STATE        AGE  IDLE\n"
            "default/api 80/TCP at 192.0.2.10:30080 by zone\n"
            "  198.51.100.7:40000     :12345  10.1.2.5:8080     established  2 h   3 s\n"
            "default/web 80/TCP at 192.0.2.10:30080\n"
            "  198.51.100.8:1         -       10.1.2.5:8080     established  2 h   3 s\n"
            "default/web 80/TCP at 192.0.2.10:30080 by zone\n"
            "  198.51.100.7:40000     :12345  10.1.2.5:8080     established  2 h   3 s\n"
            "default/web 80/TCP at [2001:db8::10]:30080 by zone\n"
            "  [2001:db8:5::7]:40000  :12345  [fd00:1::5]:8080  established  2 h   3 s\n"
            "(gone) TCP at 10.96.0.1:80 by zone\n"
            "  198.51.100.7:40000     :12345  10.1.2.5:8080     established  2 h   3 s\n");
}

TEST(FlowView, JsonHasAll) {
  const auto web = service_named("web");
  std::ostringstream out;
  flow_json(flow_of(&web)).write(out);
  EXPECT_EQ(out.str(),
            R"({"service": {"namespace": "default", "name": "web", "port": {"name": "http", )"
            R"("number": 80, "protocol": "TCP"}, "family": "IPv4"}, "protocol": "TCP", )"
            R"("family": "IPv4", "frontend": "192.0.2.10:30080", "client": "198.51.100.7:40000", )"
            R"("source": "192.0.2.10:12345", "masqueraded": true, "direct": false, )"
            R"("backend": "10.1.2.5:8080", )"
            R"("tier": "topology.kubernetes.io/zone", "state": "established", )"
            R"("age_seconds": 7200, "idle_seconds": 3})");
  auto gone = flow_of(nullptr);
  gone.tier = "";
  std::ostringstream other;
  flow_json(gone).write(other);
  EXPECT_EQ(other.str().find(R"({"service": null, "protocol": "TCP", )"), 0U) << other.str();
  EXPECT_NE(other.str().find(R"("tier": null)"), std::string::npos) << other.str();
}

}  // namespace
}  // namespace topolb::cli
