// SPDX-License-Identifier: Apache-2.0
// Services as the decoder reads them. Sources: design.md 3.1 (what is served, defaults of raw
// files); Kubernetes API v1 ServiceSpec and its validation (pkg/apis/core/validation).
#include <gtest/gtest.h>

#include "decode_text.h"
#include "kube/decoder.h"
#include "protobuf_text.h"

namespace topolb::kube::test {
namespace {

struct Case {
  const char* name;
  std::string metadata;  // beside the name
  std::string body;      // spec and status
  std::string expected;  // behind "Service default/web"
  Texts problems;
};

void PrintTo(const Case& tested, std::ostream* stream) { *stream << tested.name; }

class DecodeService : public testing::TestWithParam<Case> {};

TEST_P(DecodeService, GivesModelAndProblems) {
  const Case& tested = GetParam();
  const std::string json = R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web")" +
                           tested.metadata + "}," + tested.body + "}";
  const auto document = decode_json(json);
  ASSERT_TRUE(document) << document.error().message() << '\n' << json;
  ASSERT_EQ(document->objects.size(), 1U);
  EXPECT_EQ(text_of(document->objects[0]), "Service default/web " + tested.expected);
  EXPECT_EQ(text_of(document->objects[0].problems), tested.problems);
  EXPECT_EQ(document->problems, std::vector<core::Problem>());
  if (const auto event = protobuf_event("ADDED", json)) {
    const auto decoded = Decoder().event(*event, Kind::Service);
    ASSERT_TRUE(decoded) << decoded.error().message();
    ASSERT_EQ(decoded->document.objects.size(), 1U);
    EXPECT_EQ(decoded->document.objects[0].object, document->objects[0].object);
    EXPECT_EQ(text_of(decoded->document.objects[0].problems), tested.problems);
  }
}

// A Service that is served: more fields of the spec, beside its address and port.
std::string spec(const std::string& fields) {
  return R"("spec":{"clusterIP":"10.96.0.1",)" + fields + R"("ports":[{"port":80}]})";
}

std::string ports(const std::string& list) {
  return R"("spec":{"clusterIP":"10.96.0.1","ports":)" + list + "}";
}

constexpr const char* kPlain = "ips=10.96.0.1 :80/TCP";
constexpr const char* kNone = "none";

INSTANTIATE_TEST_SUITE_P(
    Served, DecodeService,
    testing::Values(
        Case{"defaults", "", spec(""), kPlain, {}},
        Case{"null is absent",
             "",
             spec(R"("clusterIPs":null,"type":null,"sessionAffinity":null,"externalIPs":null,
                     "internalTrafficPolicy":null,"topologyKeys":null,)"),
             kPlain,
             {}},
        Case{"empty strings are absent",
             "",
             spec(R"("type":"","sessionAffinity":"","internalTrafficPolicy":"",)"),
             kPlain,
             {}},
        Case{"clusterIPs before clusterIP",
             "",
             spec(R"("clusterIPs":["10.96.0.9","fd00::9"],)"),
             "ips=10.96.0.9,fd00::9 :80/TCP",
             {}},
        Case{"no clusterIPs", "", spec(R"("clusterIPs":[],)"), kPlain, {}},
        Case{"leading zeros are decimal",
             "",
             spec(R"("clusterIPs":["010.096.000.009"],)"),
             "ips=10.96.0.9 :80/TCP",
             {}},
        Case{"mapped IPv4 is IPv4",
             "",
             spec(R"("clusterIPs":["::ffff:10.96.0.9"],)"),
             "ips=10.96.0.9 :80/TCP",
             {}},
        Case{"ports",
             "",
             ports(R"([{"name":"http","port":80,"protocol":"TCP","nodePort":30080},
                       {"name":"dns","port":53,"protocol":"UDP"},
                       {"name":"dns-tcp","port":53,"protocol":"TCP","targetPort":"dns"},
                       {"name":"sig","port":65535,"protocol":"SCTP","nodePort":0}])"),
             "ips=10.96.0.1 http:80/TCP@30080 dns:53/UDP dns-tcp:53/TCP sig:65535/SCTP",
             {}},
        Case{"null in a port is absent",
             "",
             ports(R"([{"name":null,"port":80,"protocol":null,"nodePort":null}])"),
             kPlain,
             {}},
        Case{"protocol of no text", "", ports(R"([{"port":80,"protocol":""}])"), kPlain, {}},
        Case{"one name for two protocols",
             "",
             ports(R"([{"name":"dns","port":53},{"name":"dns","port":53,"protocol":"UDP"}])"),
             "ips=10.96.0.1 dns:53/TCP dns:53/UDP",
             {}},
        Case{"external addresses",
             "",
             R"("status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"},{"hostname":"lb.example"},
                  {"ip":"192.0.2.2","ipMode":"Proxy"},{"ip":"192.0.2.3","ipMode":"VIP"},
                  {"ip":"","hostname":"lb2.example"}]}},)" +
                 spec(R"("type":"LoadBalancer","externalIPs":["198.51.100.1","2001:db8::1"],)"),
             "ips=10.96.0.1 :80/TCP external=198.51.100.1,2001:db8::1 lb=192.0.2.1,192.0.2.3",
             {}},
        Case{"policies",
             "",
             spec(R"("internalTrafficPolicy":"Local","externalTrafficPolicy":"Local",)"),
             "ips=10.96.0.1 :80/TCP internal-local external-local",
             {}},
        Case{"health checks",
             "",
             spec(R"("type":"LoadBalancer","externalTrafficPolicy":"Local",
                  "healthCheckNodePort":30100,)"),
             "ips=10.96.0.1 :80/TCP external-local health@30100",
             {}},
        Case{"health checks of externalTrafficPolicy Cluster",
             "",
             spec(R"("type":"LoadBalancer","healthCheckNodePort":30100,)"),
             kPlain,
             {}},
        Case{"health checks of no load balancer",
             "",
             spec(R"("type":"NodePort","externalTrafficPolicy":"Local",
                  "healthCheckNodePort":30100,)"),
             "ips=10.96.0.1 :80/TCP external-local",
             {}},
        Case{"policies Cluster",
             "",
             spec(R"("internalTrafficPolicy":"Cluster","externalTrafficPolicy":"Cluster",)"),
             kPlain,
             {}},
        Case{"affinity by default for three hours",
             "",
             spec(R"("sessionAffinity":"ClientIP",)"),
             "ips=10.96.0.1 :80/TCP affinity=10800",
             {}},
        Case{"affinity timeout",
             "",
             spec(R"("sessionAffinity":"ClientIP",
                     "sessionAffinityConfig":{"clientIP":{"timeoutSeconds":86400}},)"),
             "ips=10.96.0.1 :80/TCP affinity=86400",
             {}},
        Case{"no affinity, whatever the timeout",
             "",
             spec(R"("sessionAffinityConfig":{"clientIP":{"timeoutSeconds":5}},)"),
             kPlain,
             {}},
        Case{"escaped keys and values",
             "",
             R"("spe\u0063":{"cluster\u0049P":"10.96.0\u002e1","ports":[{"port":80}]})",
             kPlain,
             {}},
        Case{"the last of two keys counts",
             "",
             spec(R"("clusterIP":"10.96.0.7","clusterIP":"10.96.0.8",)"),
             "ips=10.96.0.8 :80/TCP",
             {}},
        Case{"the last of two keys counts, also null",
             "",
             spec(R"("externalIPs":["192.0.2.1"],"externalIPs":null,)"),
             kPlain,
             {}},
        Case{"labels",
             R"(,"labels":{"topolb.io/enabled":"true",
             "service.kubernetes.io/service-proxy-name":"other","a":"b"})",
             spec(""),
             "ips=10.96.0.1 :80/TCP opted-in proxy=other",
             {}},
        Case{"opted out", R"(,"labels":{"topolb.io/enabled":"false"})", spec(""), kPlain, {}},
        Case{"empty proxy name",
             R"(,"labels":{"service.kubernetes.io/service-proxy-name":""})",
             spec(""),
             "ips=10.96.0.1 :80/TCP proxy=",
             {}},
        Case{"annotation as written",
             R"(,"annotations":{"topolb.io/topology-keys":" a , *"})",
             spec(""),
             "ips=10.96.0.1 :80/TCP annotation= a , *",
             {}},
        Case{"annotation of null is empty",
             R"(,"annotations":{"topolb.io/topology-keys":null})",
             spec(""),
             "ips=10.96.0.1 :80/TCP annotation=",
             {}},
        Case{"spec.topologyKeys",
             "",
             spec(R"("topologyKeys":["a","*"],)"),
             R"(ips=10.96.0.1 :80/TCP keys=["a", "*"])",
             {}},
        Case{"spec.topologyKeys with what is no string",
             "",
             spec(R"("topologyKeys":["a",1,null],)"),
             R"(ips=10.96.0.1 :80/TCP keys=["a", "", ""])",
             {}},
        Case{"spec.topologyKeys that are no list",
             "",
             spec(R"("topologyKeys":"a",)"),
             R"(ips=10.96.0.1 :80/TCP keys=[""])",
             {}}));

INSTANTIATE_TEST_SUITE_P(
    NotServed, DecodeService,
    testing::Values(
        Case{"headless", "", R"("spec":{"clusterIP":"None","ports":[{"port":80}]})", kNone, {}},
        Case{"headless by clusterIPs",
             "",
             R"("spec":{"clusterIPs":["None"],"ports":[{"port":80}]})",
             kNone,
             {}},
        Case{"no clusterIP", "", R"("spec":{"ports":[{"port":80}]})", kNone, {}},
        Case{"empty clusterIP", "", R"("spec":{"clusterIP":"","ports":[{"port":80}]})", kNone, {}},
        Case{"ExternalName",
             "",
             spec(R"("type":"ExternalName","externalName":"db.example",)"),
             kNone,
             {}},
        Case{"no ports", "", R"("spec":{"clusterIP":"10.96.0.1"})", kNone, {}},
        Case{"empty ports", "", ports("[]"), kNone, {}},
        Case{"null ports", "", ports("null"), kNone, {}},
        Case{"no spec", "", R"("status":{})", kNone, {}},
        Case{"null spec", "", R"("spec":null)", kNone, {}}));

INSTANTIATE_TEST_SUITE_P(
    WrongPorts, DecodeService,
    testing::Values(
        Case{"ports are an object",
             "",
             ports("{}"),
             kNone,
             {"InvalidObject spec.ports is an object, not a list"}},
        Case{"a port is a number",
             "",
             ports(R"([80,{"port":81}])"),
             "ips=10.96.0.1 :81/TCP",
             {"InvalidPort spec.ports[0] is 80, not an object"}},
        Case{"0",
             "",
             ports(R"([{"port":0},{"port":81}])"),
             "ips=10.96.0.1 :81/TCP",
             {"InvalidPort spec.ports[0].port is 0, not a port number from 1 to 65535"}},
        Case{"70000",
             "",
             ports(R"([{"port":70000}])"),
             kNone,
             {"InvalidPort spec.ports[0].port is 70000, not a port number from 1 to 65535"}},
        Case{"negative",
             "",
             ports(R"([{"port":-80}])"),
             kNone,
             {"InvalidPort spec.ports[0].port is -80, not a port number from 1 to 65535"}},
        Case{"fraction",
             "",
             ports(R"([{"port":80.5}])"),
             kNone,
             {"InvalidPort spec.ports[0].port is 80.5, not a port number from 1 to 65535"}},
        Case{"string",
             "",
             ports(R"([{"port":"80"}])"),
             kNone,
             {R"(InvalidPort spec.ports[0].port is "80", not a port number from 1 to 65535)"}},
        Case{"more than 64 bits hold",
             "",
             ports(R"([{"port":18446744073709551615}])"),
             kNone,
             {"InvalidPort spec.ports[0].port is 18446744073709551615, not a port number from 1 "
              "to 65535"}},
        Case{"missing",
             "",
             ports(R"([{"name":"http"},{"port":null}])"),
             kNone,
             {"InvalidPort spec.ports[0].port is missing",
              "InvalidPort spec.ports[1].port is missing"}},
        Case{"protocol",
             "",
             ports(R"([{"port":80,"protocol":"tcp"},{"port":81,"protocol":6}])"),
             kNone,
             {R"(InvalidPort spec.ports[0].protocol is "tcp", not TCP, UDP or SCTP)",
              "InvalidPort spec.ports[1].protocol is 6, not TCP, UDP or SCTP"}},
        Case{"name",
             "",
             ports(R"([{"port":80,"name":["a"]},{"port":81}])"),
             "ips=10.96.0.1 :81/TCP",
             {"InvalidPort spec.ports[0].name is a list, not a string"}},
        Case{"twice",
             "",
             ports(R"([{"port":80,"name":"a"},{"port":80,"name":"b"}])"),
             "ips=10.96.0.1 a:80/TCP",
             {"InvalidPort spec.ports[1] repeats port 80/TCP"}},
        Case{"nodePort",
             "",
             ports(R"([{"port":80,"nodePort":70000},{"port":81,"nodePort":"x"}])"),
             "ips=10.96.0.1 :80/TCP :81/TCP",
             {"InvalidPort spec.ports[0].nodePort is 70000, not a port number from 1 to 65535",
              R"(InvalidPort spec.ports[1].nodePort is "x", not a port number from 1 to 65535)"}},
        Case{"nodePort twice",
             "",
             ports(R"([{"port":80,"nodePort":30080},{"port":81,"nodePort":30080},
                       {"port":82,"nodePort":30080,"protocol":"UDP"}])"),
             "ips=10.96.0.1 :80/TCP@30080 :81/TCP :82/UDP@30080",
             {"InvalidPort spec.ports[1].nodePort repeats 30080/TCP"}}));

INSTANTIATE_TEST_SUITE_P(
    WrongAddresses, DecodeService,
    testing::Values(
        Case{"clusterIP",
             "",
             spec(R"("clusterIP":"10.96.0.300",)"),
             kNone,
             {R"(InvalidAddress spec.clusterIP is "10.96.0.300", not the IP address of a host)"}},
        Case{"clusterIP of a number",
             "",
             spec(R"("clusterIP":10,)"),
             kNone,
             {"InvalidAddress spec.clusterIP is 10, not the IP address of a host"}},
        Case{"unspecified",
             "",
             spec(R"("clusterIP":"0.0.0.0",)"),
             kNone,
             {R"(InvalidAddress spec.clusterIP is "0.0.0.0", not the IP address of a host)"}},
        Case{
            "one of clusterIPs",
            "",
            spec(R"("clusterIPs":["10.96.0.9","fe80::1%eth0"],)"),
            "ips=10.96.0.9 :80/TCP",
            {R"(InvalidAddress spec.clusterIPs[1] is "fe80::1%eth0", not the IP address of a host)"}},
        Case{"clusterIPs are a string",
             "",
             spec(R"("clusterIPs":"10.96.0.9",)"),
             kPlain,
             {R"(InvalidObject spec.clusterIPs is "10.96.0.9", not a list)"}},
        Case{"an address twice",
             "",
             spec(R"("clusterIPs":["10.96.0.9","10.96.0.9"],)"),
             "ips=10.96.0.9 :80/TCP",
             {"InvalidAddress spec.clusterIPs[1] repeats 10.96.0.9"}},
        Case{
            "externalIPs",
            "",
            spec(R"("externalIPs":["web.example",null,"192.0.2.1"],)"),
            "ips=10.96.0.1 :80/TCP external=192.0.2.1",
            {R"(InvalidAddress spec.externalIPs[0] is "web.example", not the IP address of a host)",
             "InvalidAddress spec.externalIPs[1] is null, not the IP address of a host"}},
        Case{
            "ingress",
            "",
            R"("status":{"loadBalancer":{"ingress":[7,{"ip":"x"},{"ip":"192.0.2.1","ipMode":"L2"}]}},)" +
                spec(""),
            "ips=10.96.0.1 :80/TCP lb=192.0.2.1",
            {"InvalidObject status.loadBalancer.ingress[0] is 7, not an object",
             R"(InvalidAddress status.loadBalancer.ingress[1].ip is "x", not the IP address of a host)",
             R"(InvalidObject status.loadBalancer.ingress[2].ipMode is "L2", not VIP or Proxy)"}},
        Case{"source ranges",
             "",
             spec(R"("loadBalancerSourceRanges":[" 10.0.0.1/8 ","2001:db8::/32"],)"),
             "ips=10.96.0.1 :80/TCP ranges=10.0.0.0/8,2001:db8::/32",
             {}},
        // Never "everybody": nobody is in what stands for it.
        Case{"wrong source range",
             "",
             spec(R"("loadBalancerSourceRanges":["10.0.0.1"],)"),
             "ips=10.96.0.1 :80/TCP ranges=::/128,0.0.0.0/32",
             {R"(InvalidAddress spec.loadBalancerSourceRanges[0] is "10.0.0.1", not a range of )"
              "addresses, as 10.0.0.0/8"}},
        // Whoever prints this prints one line, and no terminal is told anything.
        Case{
            "control characters are shown escaped",
            "",
            spec(R"("clusterIP":"1\n\u001b[31m\u007f\"",)"),
            kNone,
            {R"(InvalidAddress spec.clusterIP is "1\u000a\u001b[31m\u007f\"", not the IP address of )"
             "a host"}},
        Case{
            "long text is cut between characters",
            "",
            spec(
                R"("clusterIP":"0123456789012345678901234567890123456789012345678901234567890\u00e9\u00e9",)"),
            kNone,
            {"InvalidAddress spec.clusterIP is "
             "\"0123456789012345678901234567890123456789012345678901234567890\u00e9...\", not the "
             "IP address of a host"}}));

INSTANTIATE_TEST_SUITE_P(
    WrongFields, DecodeService,
    testing::Values(
        Case{"spec is a list",
             "",
             R"("spec":[])",
             kNone,
             {"InvalidObject spec is a list, not an object"}},
        Case{"type",
             "",
             spec(R"("type":"Foo",)"),
             kPlain,
             {R"(InvalidObject spec.type is "Foo", not ClusterIP, NodePort, LoadBalancer or )"
              "ExternalName"}},
        Case{"internalTrafficPolicy",
             "",
             spec(R"("internalTrafficPolicy":"Foo",)"),
             kPlain,
             {R"(InvalidObject spec.internalTrafficPolicy is "Foo", not Cluster or Local)"}},
        Case{"externalTrafficPolicy",
             "",
             spec(R"("externalTrafficPolicy":true,)"),
             kPlain,
             {"InvalidObject spec.externalTrafficPolicy is true, not Cluster or Local"}},
        Case{"healthCheckNodePort",
             "",
             spec(R"("type":"LoadBalancer","externalTrafficPolicy":"Local",
                  "healthCheckNodePort":70000,)"),
             "ips=10.96.0.1 :80/TCP external-local",
             {"InvalidPort spec.healthCheckNodePort is 70000, not a port number from 1 to 65535"}},
        Case{"sessionAffinity",
             "",
             spec(R"("sessionAffinity":"Cookie",)"),
             kPlain,
             {R"(InvalidObject spec.sessionAffinity is "Cookie", not None or ClientIP)"}},
        Case{"affinity timeout of 0",
             "",
             spec(R"("sessionAffinity":"ClientIP",
                     "sessionAffinityConfig":{"clientIP":{"timeoutSeconds":0}},)"),
             "ips=10.96.0.1 :80/TCP affinity=10800",
             {"InvalidObject spec.sessionAffinityConfig.clientIP.timeoutSeconds is 0, not a number "
              "of seconds from 1 to 86400"}},
        Case{"affinity timeout of more than a day",
             "",
             spec(R"("sessionAffinity":"ClientIP",
                     "sessionAffinityConfig":{"clientIP":{"timeoutSeconds":86401}},)"),
             "ips=10.96.0.1 :80/TCP affinity=10800",
             {"InvalidObject spec.sessionAffinityConfig.clientIP.timeoutSeconds is 86401, not a "
              "number of seconds from 1 to 86400"}},
        Case{"affinity configuration",
             "",
             spec(R"("sessionAffinity":"ClientIP","sessionAffinityConfig":[],)"),
             "ips=10.96.0.1 :80/TCP affinity=10800",
             {"InvalidObject spec.sessionAffinityConfig is a list, not an object"}},
        Case{"labels that are no strings",
             R"(,"labels":{"a":1,"topolb.io/enabled":true})",
             spec(""),
             kPlain,
             {"InvalidObject metadata.labels.a is 1, not a string",
              R"(InvalidObject metadata.labels["topolb.io/enabled"] is true, not a string)"}},
        Case{"labels are a list",
             R"(,"labels":["a"])",
             spec(""),
             kPlain,
             {"InvalidObject metadata.labels is a list, not an object"}},
        // Never "no keys": what the annotation holds instead is no list of keys (design.md 3.2).
        Case{"annotation that is no string",
             R"(,"annotations":{"topolb.io/topology-keys":["a"]})",
             spec(""),
             "ips=10.96.0.1 :80/TCP annotation=[",
             {R"(InvalidObject metadata.annotations["topolb.io/topology-keys"] is a list, not a )"
              "string"}},
        Case{"resourceVersion",
             R"(,"resourceVersion":7)",
             spec(""),
             kPlain,
             {"InvalidObject metadata.resourceVersion is 7, not a string"}}));

}  // namespace
}  // namespace topolb::kube::test
