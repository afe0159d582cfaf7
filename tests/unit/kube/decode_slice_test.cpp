// SPDX-License-Identifier: Apache-2.0
// EndpointSlices and Nodes as the decoder reads them. Sources: design.md 3.1 (which slices count,
// ports, first address, conditions); discovery.k8s.io/v1 EndpointSlice; KEP-4444 (hints).
#include <gtest/gtest.h>

#include "decode_text.h"
#include "kube/decoder.h"
#include "protobuf_text.h"

namespace topolb::kube::test {
namespace {

struct Case {
  const char* name;
  std::string labels;
  std::string body;
  std::string expected;  // behind "EndpointSlice default/web-1"
  Texts problems;
};

void PrintTo(const Case& tested, std::ostream* stream) { *stream << tested.name; }

class DecodeSlice : public testing::TestWithParam<Case> {};

TEST_P(DecodeSlice, GivesModelAndProblems) {
  const Case& tested = GetParam();
  const std::string json = R"({"kind":"EndpointSlice","endpoints":[],)" + tested.body +
                           R"(,"metadata":{"name":"web-1","labels":{)" + tested.labels +
                           R"(}},"apiVersion":"discovery.k8s.io/v1"})";
  const auto document = decode_json(json);
  ASSERT_TRUE(document) << document.error().message() << '\n' << json;
  ASSERT_EQ(document->objects.size(), 1U);
  EXPECT_EQ(text_of(document->objects[0]), "EndpointSlice default/web-1 " + tested.expected);
  EXPECT_EQ(text_of(document->objects[0].problems), tested.problems);
  if (const auto event = protobuf_event("ADDED", json)) {
    const auto decoded = Decoder().event(*event, Kind::EndpointSlice);
    ASSERT_TRUE(decoded) << decoded.error().message();
    ASSERT_EQ(decoded->document.objects.size(), 1U);
    EXPECT_EQ(decoded->document.objects[0].object, document->objects[0].object);
    EXPECT_EQ(text_of(decoded->document.objects[0].problems), tested.problems);
  }
}

constexpr const char* kOfWeb = R"("kubernetes.io/service-name":"web")";
constexpr const char* kNone = "none";

std::string ipv4(const std::string& fields) { return R"("addressType":"IPv4",)" + fields; }

std::string endpoint(const std::string& fields) {
  return ipv4(R"("endpoints":[{"addresses":["10.1.0.1"],)" + fields + "}]");
}

INSTANTIATE_TEST_SUITE_P(
    Read, DecodeSlice,
    testing::Values(
        Case{"whole",
             kOfWeb,
             ipv4(R"("ports":[{"name":"http","port":8080,"protocol":"TCP"}],
               "endpoints":[{"addresses":["10.1.0.1"],"nodeName":"n1","zone":"a",
                 "conditions":{"ready":true,"serving":true,"terminating":false},
                 "hints":{"forZones":[{"name":"a"},{"name":"b"}],"forNodes":[{"name":"n1"}]},
                 "targetRef":{"kind":"Pod","name":"web-0"}}])"),
             R"(of=web IPv4 http:8080/TCP [10.1.0.1 node=n1 zone=a nodes=["n1"] zones=["a", "b"]])",
             {}},
        Case{"IPv6",
             kOfWeb,
             R"("addressType":"IPv6","endpoints":[{"addresses":["2001:db8::1"]}])",
             "of=web IPv6 [2001:db8::1]",
             {}},
        Case{"port defaults", kOfWeb, ipv4(R"("ports":[{"port":80}])"), "of=web IPv4 :80/TCP", {}},
        Case{"a port without number contributes nothing",
             kOfWeb,
             ipv4(R"("ports":[{"name":"a"},{"name":"b","port":0},{"name":"c","port":null}])"),
             "of=web IPv4",
             {}},
        Case{"one name with two numbers",
             kOfWeb,
             ipv4(R"("ports":[{"name":"a","port":80},{"name":"a","port":81}])"),
             "of=web IPv4 a:80/TCP a:81/TCP",
             {}},
        Case{"null lists", kOfWeb, ipv4(R"("ports":null,"endpoints":null)"), "of=web IPv4", {}},
        Case{"only the first address counts",
             kOfWeb,
             ipv4(R"("endpoints":[{"addresses":["10.1.0.1","nonsense",7]}])"),
             "of=web IPv4 [10.1.0.1]",
             {}},
        Case{"no conditions",
             kOfWeb,
             endpoint(R"("conditions":null)"),
             "of=web IPv4 [10.1.0.1]",
             {}},
        Case{"conditions of null",
             kOfWeb,
             endpoint(R"("conditions":{"ready":null,"serving":null,"terminating":null})"),
             "of=web IPv4 [10.1.0.1]",
             {}},
        Case{"not ready",
             kOfWeb,
             endpoint(R"("conditions":{"ready":false})"),
             "of=web IPv4 [10.1.0.1 unready]",
             {}},
        Case{"serving while it terminates",
             kOfWeb,
             endpoint(R"("conditions":{"ready":false,"serving":true,"terminating":true})"),
             "of=web IPv4 [10.1.0.1 unready terminating]",
             {}},
        Case{"not serving",
             kOfWeb,
             endpoint(R"("conditions":{"ready":false,"serving":false,"terminating":true})"),
             "of=web IPv4 [10.1.0.1 unready unserving terminating]",
             {}},
        Case{"hints of null",
             kOfWeb,
             endpoint(R"("hints":{"forZones":null})"),
             "of=web IPv4 [10.1.0.1]",
             {}}));

INSTANTIATE_TEST_SUITE_P(
    NotRead, DecodeSlice,
    testing::Values(
        Case{"of no Service", "", ipv4(R"("ports":7)"), kNone, {}},
        Case{"of a Service of no name",
             R"("kubernetes.io/service-name":"")",
             ipv4(R"("ports":7)"),
             kNone,
             {}},
        Case{"headless",
             R"("kubernetes.io/service-name":"web","service.kubernetes.io/headless":"")",
             ipv4(R"("ports":7)"),
             kNone,
             {}},
        Case{"headless by null",
             R"("kubernetes.io/service-name":"web","service.kubernetes.io/headless":null)",
             ipv4(R"("ports":7)"),
             kNone,
             {}},
        Case{"FQDN",
             kOfWeb,
             R"("addressType":"FQDN","endpoints":[{"addresses":["web.example"]}])",
             kNone,
             {}}));

INSTANTIATE_TEST_SUITE_P(
    Wrong, DecodeSlice,
    testing::Values(
        Case{"no addressType",
             kOfWeb,
             R"("ports":[])",
             kNone,
             {"InvalidObject addressType is missing"}},
        Case{"empty addressType",
             kOfWeb,
             R"("addressType":"")",
             kNone,
             {"InvalidObject addressType is missing"}},
        Case{"addressType",
             kOfWeb,
             R"("addressType":"IP")",
             kNone,
             {R"(InvalidObject addressType is "IP", not IPv4, IPv6 or FQDN)"}},
        Case{"service name",
             R"("kubernetes.io/service-name":7)",
             ipv4(R"("ports":[])"),
             kNone,
             {R"(InvalidObject metadata.labels["kubernetes.io/service-name"] is 7, not a string)"}},
        Case{"ports",
             kOfWeb,
             ipv4(R"("ports":[{"port":70000},{"port":"80"},{"port":81,"protocol":"Q"},{"port":82},
                     {"port":82},7])"),
             "of=web IPv4 :82/TCP",
             {"InvalidPort ports[0].port is 70000, not a port number from 1 to 65535",
              R"(InvalidPort ports[1].port is "80", not a port number from 1 to 65535)",
              R"(InvalidPort ports[2].protocol is "Q", not TCP, UDP or SCTP)",
              "InvalidPort ports[4] repeats port 82/TCP",
              "InvalidPort ports[5] is 7, not an object"}},
        Case{"ports are an object",
             kOfWeb,
             ipv4(R"("ports":{})"),
             "of=web IPv4",
             {"InvalidObject ports is an object, not a list"}},
        Case{
            "addresses",
            kOfWeb,
            ipv4(
                R"("endpoints":[{"addresses":["10.1.0"]},{"addresses":[]},{},{"addresses":"10.1.0.1"},
                     {"addresses":[null]},{"addresses":["10.1.0.2"]},7])"),
            "of=web IPv4 [10.1.0.2]",
            {R"(InvalidAddress endpoints[0].addresses[0] is "10.1.0", not the IP address of a host)",
             "InvalidAddress endpoints[1] has no address",
             "InvalidAddress endpoints[2] has no address",
             R"(InvalidObject endpoints[3].addresses is "10.1.0.1", not a list)",
             "InvalidAddress endpoints[4].addresses[0] is null, not the IP address of a host",
             "InvalidObject endpoints[6] is 7, not an object"}},
        Case{
            "an address of the other family",
            kOfWeb,
            ipv4(R"("endpoints":[{"addresses":["2001:db8::1"]}])"),
            "of=web IPv4",
            {R"(InvalidAddress endpoints[0].addresses[0] is "2001:db8::1", not an IPv4 address as )"
             "addressType says"}},
        Case{
            "a mapped address is IPv4",
            kOfWeb,
            R"("addressType":"IPv6","endpoints":[{"addresses":["::ffff:10.1.0.1"]}])",
            "of=web IPv6",
            {R"(InvalidAddress endpoints[0].addresses[0] is "::ffff:10.1.0.1", not an IPv6 address )"
             "as addressType says"}},
        // An endpoint with anything wrong in it gets no connections.
        Case{"conditions",
             kOfWeb,
             endpoint(R"("conditions":{"ready":"false"})"),
             "of=web IPv4",
             {R"(InvalidObject endpoints[0].conditions.ready is "false", not true or false)"}},
        Case{"conditions are a list",
             kOfWeb,
             endpoint(R"("conditions":[])"),
             "of=web IPv4",
             {"InvalidObject endpoints[0].conditions is a list, not an object"}},
        Case{"nodeName and zone",
             kOfWeb,
             endpoint(R"("nodeName":7,"zone":{})"),
             "of=web IPv4",
             {"InvalidObject endpoints[0].nodeName is 7, not a string",
              "InvalidObject endpoints[0].zone is an object, not a string"}},
        Case{"hints",
             kOfWeb,
             endpoint(R"("hints":{"forZones":["a"],"forNodes":[{"name":1}]})"),
             "of=web IPv4",
             {"InvalidObject endpoints[0].hints.forNodes[0].name is 1, not a string",
              R"(InvalidObject endpoints[0].hints.forZones[0] is "a", not an object)"}}));

TEST(DecodeSlice, TellsWhenItsChangeWasTriggered) {
  const auto triggered = [](const std::string& annotations) {
    const auto document = decode_json(
        R"({"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"name":"a",)"
        R"("labels":{"kubernetes.io/service-name":"web"},"annotations":{)" +
        annotations + R"(}},"addressType":"IPv4"})");
    return std::get<core::EndpointSlice>(document->objects.at(0).object).triggered_ns;
  };
  const std::string name = R"("endpoints.kubernetes.io/last-change-trigger-time":)";
  EXPECT_EQ(triggered(""), 0U);
  EXPECT_EQ(triggered(name + R"("soon")"), 0U);
  EXPECT_EQ(triggered(name + R"("2027-01-15T08:00:00Z")"), 1'800'000'000'000'000'000U);
  EXPECT_EQ(triggered(name + R"("2027-01-15T08:00:00.25Z")"), 1'800'000'000'250'000'000U);
}

TEST(DecodeNode, KeepsLabels) {
  const auto document = decode_json(R"({"kind":"Node","apiVersion":"v1","metadata":{"name":"n1",
      "namespace":"ignored","labels":{"zone":"a","rack":null,"bad":1,"zone":"b"}},"status":7})");
  ASSERT_TRUE(document);
  ASSERT_EQ(document->objects.size(), 1U);
  EXPECT_EQ(text_of(document->objects[0]), "Node /n1 rack= zone=b");
  EXPECT_EQ(full_text_of(document->objects[0].problems),
            Texts{"Node /n1 InvalidObject metadata.labels.bad is 1, not a string"});
}

TEST(DecodeNode, TellsWhetherItIsAboutToGo) {
  const auto is_leaving = [](const std::string& metadata, const std::string& spec) {
    const auto document =
        decode_json(R"({"kind":"Node","apiVersion":"v1","metadata":{"name":"n1")" + metadata +
                    R"(},"spec":{)" + spec + "}}");
    const auto& object = document->objects.at(0);
    EXPECT_EQ(object.problems, std::vector<core::Problem>{});
    return std::get<core::Node>(object.object).leaving;
  };
  EXPECT_FALSE(is_leaving("", ""));
  EXPECT_FALSE(is_leaving(R"(,"deletionTimestamp":null)", R"("taints":null)"));
  EXPECT_FALSE(is_leaving("", R"("taints":[{"key":"node.kubernetes.io/unschedulable"}])"));
  EXPECT_TRUE(is_leaving(R"(,"deletionTimestamp":"2026-11-26T08:00:00Z")", ""));
  EXPECT_TRUE(is_leaving("", R"("taints":[{"key":"dedicated","value":"x","effect":"NoSchedule"},)"
                             R"({"key":"ToBeDeletedByClusterAutoscaler","value":"1",)"
                             R"("effect":"NoSchedule"}])"));
}

}  // namespace
}  // namespace topolb::kube::test
