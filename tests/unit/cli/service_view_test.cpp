// SPDX-License-Identifier: Apache-2.0
#include "cli/service_view.h"

#include <gtest/gtest.h>

#include <sstream>

#include "cli_run.h"

namespace topolb::cli {
namespace {

using core::FrontendKind;
using core::Verdict;

std::vector<BackendView> backends(std::uint32_t first_id, std::uint32_t count, bool usable = true) {
  std::vector<BackendView> result;
  for (std::uint32_t id = first_id; id < first_id + count; ++id) {
    const auto address = IpAddress::parse("10.1.0." + std::to_string(id)).value();
    result.push_back({.id = id, .address = {address, 8080}, .usable = usable});
  }
  return result;
}

/// Nearest tier unusable, so that the zone decides.
TrafficView keyed() {
  return {.verdict = Verdict::Forward,
          .set_ids = {2},
          .tiers = {{"kubernetes.io/hostname", false, backends(3, 1, false)},
                    {"topology.kubernetes.io/zone", false, backends(3, 3)}}};
}

ServiceView web() {
  ServiceView service;
  service.id = 7;
  service.key = {{"default", "web"}, 80, Protocol::TCP, Family::IPv4};
  service.port_name = "http";
  service.frontends = {{FrontendKind::ClusterIP, IpAddress::parse("10.96.0.10").value(), 80},
                       {FrontendKind::NodePort, IpAddress::unspecified(Family::IPv4), 30080}};
  service.affinity_timeout_s = 10800;
  service.internal = keyed();
  service.external = TrafficView{.verdict = Verdict::Drop, .set_ids = {4}, .tiers = {}};
  service.node_external = keyed();
  service.refused = 2;
  service.by_key = {{"kubernetes.io/hostname", 5}, {"topology.kubernetes.io/zone", 1200}, {"", 9}};
  return service;
}

template <typename Print, typename Value>
std::string text_of(const Print& print, const Value& value) {
  std::ostringstream out;
  print(out, value);
  return out.str();
}

TEST(ServiceView, EffectiveIsTheFirstTierWithAUsableBackend) {
  const TrafficView traffic = keyed();
  ASSERT_NE(traffic.effective(), nullptr);
  EXPECT_EQ(traffic.effective()->key, "topology.kubernetes.io/zone");
  EXPECT_EQ(traffic.backends(),
            (std::vector<std::string>{"10.1.0.3:8080", "10.1.0.4:8080", "10.1.0.5:8080"}));
  EXPECT_EQ(traffic.known_backends(), 3U) << "a backend in two tiers counts once";
}

TEST(ServiceList, SaysWhereTrafficGoes) {
  ServiceView dns;
  dns.key = {{"kube-system", "kube-dns"}, 53, Protocol::UDP, Family::IPv6};
  dns.frontends = {{FrontendKind::ClusterIP, IpAddress::parse("fd00::10").value(), 53}};
  dns.internal = {
      .verdict = Verdict::Forward, .set_ids = {5}, .tiers = {{"", false, backends(8, 2)}}};
  ServiceView db;
  db.key = {{"default", "db"}, 5432, Protocol::TCP, Family::IPv4};
  db.frontends = {{FrontendKind::ClusterIP, IpAddress::parse("10.96.0.11").value(), 5432}};
  db.internal = {.verdict = Verdict::Reject, .set_ids = {1}, .tiers = {}};
  const std::vector<ServiceView> services{db, web(), dns};
  EXPECT_EQ(text_of(print_service_list, services),
            "SERVICE               PORT      FRONTENDS              INTERNAL     EXTERNAL\n"
            "default/db            5432/TCP  10.96.0.11:5432        reject       -\n"
            "default/web           80/TCP    10.96.0.10:80 +1 more  zone 3/3     drop\n"
            "kube-system/kube-dns  53/UDP    [fd00::10]:53          forward 2/2  -\n");
}

TEST(ServiceList, OfNothingSaysSo) {
  EXPECT_EQ(text_of(print_service_list, std::vector<ServiceView>{}), "No Services.\n");
}

TEST(ServiceShow, HasIdsTiersStatesAndConnections) {
  EXPECT_EQ(text_of(print_service, web()),
            "Service    default/web\n"
            "Port       80/TCP http, IPv4\n"
            "Id         7\n"
            "Affinity   ClientIP, 10800 s\n"
            "Frontends  ClusterIP 10.96.0.10:80\n"
            "           NodePort 0.0.0.0:30080\n"
            "\n"
            "Traffic internal, node-external: forward by zone (set 2)\n"
            "  TIER                         BACKEND        ID  STATE\n"
            "  kubernetes.io/hostname       10.1.0.3:8080   3  unusable\n"
            "  topology.kubernetes.io/zone  10.1.0.3:8080   3  usable\n"
            "                               10.1.0.4:8080   4  usable\n"
            "                               10.1.0.5:8080   5  usable\n"
            "\n"
            "Traffic external: drop (set 4)\n"
            "\n"
            "Connections so far\n"
            "  kubernetes.io/hostname          5\n"
            "  topology.kubernetes.io/zone  1200\n"
            "  key 3 (no backends now)         9\n"
            "  refused                         2\n");
}

TEST(ServiceShow, ShortensLongTiersButNotWhatIsWrongInThem) {
  ServiceView service = web();
  service.affinity_timeout_s = 0;
  service.external.reset();
  service.node_external.reset();
  service.by_key.clear();
  service.internal = {.verdict = Verdict::Forward,
                      .set_ids = {2, 3},
                      .tiers = {{"", false, backends(1, 8)}, {"", true, backends(20, 6)}}};
  service.internal.tiers[0].backends[6].usable = false;
  EXPECT_EQ(text_of(print_service, service),
            "Service    default/web\n"
            "Port       80/TCP http, IPv4\n"
            "Id         7\n"
            "Affinity   none\n"
            "Frontends  ClusterIP 10.96.0.10:80\n"
            "           NodePort 0.0.0.0:30080\n"
            "\n"
            "Traffic internal: forward (sets 2, 3)\n"
            "  TIER               BACKEND              ID  STATE\n"
            "  all                10.1.0.1:8080         1  usable\n"
            "                     10.1.0.2:8080         2  usable\n"
            "                     10.1.0.3:8080         3  usable\n"
            "                     10.1.0.4:8080         4  usable\n"
            "                     10.1.0.5:8080         5  usable\n"
            "                     +3 more, 1 unusable\n"
            "  all (terminating)  10.1.0.20:8080       20  usable\n"
            "                     10.1.0.21:8080       21  usable\n"
            "                     10.1.0.22:8080       22  usable\n"
            "                     10.1.0.23:8080       23  usable\n"
            "                     10.1.0.24:8080       24  usable\n"
            "                     +1 more\n"
            "\n"
            "Connections so far\n"
            "  without topology key  0\n"
            "  refused               2\n");
}

constexpr const char* kJsonHead =
    R"({"namespace": "default", "name": "web", )"
    R"("port": {"name": "http", "number": 80, "protocol": "TCP"}, "family": "IPv4", "id": 7, )"
    R"("frontends": [{"kind": "ClusterIP", "address": "10.96.0.10", "port": 80}, )"
    R"({"kind": "NodePort", "address": "0.0.0.0", "port": 30080}], )"
    R"("affinity_timeout_seconds": 10800, )";
constexpr const char* kZoneJson =
    R"("verdict": "forward", "tier": "topology.kubernetes.io/zone", )"
    R"("backends": ["10.1.0.3:8080", "10.1.0.4:8080", "10.1.0.5:8080"], )";

std::string json_of(const Json& json) {
  std::ostringstream out;
  json.write(out);
  return out.str();
}

// The keys of the plan's JSON (design.md 4), so that one script reads both.
TEST(ServiceList, JsonHasTheKeysOfThePlan) {
  EXPECT_EQ(json_of(service_summary_json(web())),
            std::string(kJsonHead) + R"("internal": {)" + kZoneJson +
                R"("known_backends": 3}, "external": {"verdict": "drop", "tier": null, )"
                R"("backends": [], "known_backends": 0}, "node_external": {)" +
                kZoneJson + R"("known_backends": 3}})");
}

TEST(ServiceShow, JsonHasEverything) {
  ServiceView service = web();
  service.external.reset();
  service.node_external.reset();
  EXPECT_EQ(
      json_of(service_json(service)),
      std::string(kJsonHead) + R"("internal": {)" + kZoneJson +
          R"("set_ids": [2], "tiers": [{"key": "kubernetes.io/hostname", "terminating": false, )"
          R"("backends": [{"id": 3, "address": "10.1.0.3:8080", "state": "unusable"}]}, )"
          R"({"key": "topology.kubernetes.io/zone", "terminating": false, "backends": [)"
          R"({"id": 3, "address": "10.1.0.3:8080", "state": "usable"}, )"
          R"({"id": 4, "address": "10.1.0.4:8080", "state": "usable"}, )"
          R"({"id": 5, "address": "10.1.0.5:8080", "state": "usable"}]}]}, )"
          R"("external": null, "node_external": null, "connections": {"refused": 2, )"
          R"("without_key": 0, "by_key": [{"key": "kubernetes.io/hostname", "connections": 5}, )"
          R"({"key": "topology.kubernetes.io/zone", "connections": 1200}, )"
          R"({"key": null, "connections": 9}]}})");
}

}  // namespace
}  // namespace topolb::cli
