// SPDX-License-Identifier: Apache-2.0
// Damaged manifests: whatever the text, the readers come back, and every problem is one line that
// names an object or the file. Meant to run under the sanitizers, too.
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "decode_text.h"
#include "kube/decode_fields.h"
#include "kube/manifest_file.h"

namespace topolb::kube::test {
namespace {

constexpr int kMutants = 20'000;

constexpr std::string_view kJson = R"({"kind":"List","apiVersion":"v1","items":[
{"kind":"Service","apiVersion":"v1","metadata":{"name":"web","labels":{"topolb.io/enabled":"true"},
"annotations":{"topolb.io/topology-keys":"[\"zone\",\"*\"]"}},"spec":{"clusterIPs":["10.96.0.1"],
"ports":[{"port":80,"nodePort":30080},{"port":1e1}],"topologyKeys":["a"],"sessionAffinity":"ClientIP"},
"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1","ipMode":"VIP"}]}}},
{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","addressType":"IPv6","metadata":{
"name":"web-1","labels":{"kubernetes.io/service-name":"web"}},"ports":[{"port":8080}],
"endpoints":[{"addresses":["2001:db8::1"],"conditions":{"ready":false},"nodeName":"n1",
"hints":{"forZones":[{"name":"a"}]}}]},{"kind":"Node","metadata":{"name":"n1","labels":{"a":"\u00e9"}}}
]})";

constexpr std::string_view kYaml = R"(%YAML 1.1
---
apiVersion: v1
kind: Service
metadata: {name: &n web, namespace: *n, annotations: {"topolb.io/topology-keys": 'zone, *'}}
spec: &spec
  clusterIP: 10.96.0.1
  ports:
  - {port: 0x50, name: "a\u00e9\n"}
  - &port
    port: 81
    protocol: !!str UDP
  - <<: [*port, {x: 1}]
    port: 82
--- # next
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
note: |-
  text
   more
endpoints:
- addresses: [10.1.0.1]
  conditions: {ready: yes}
? key
: >
  folded
...
)";

constexpr std::array<std::string_view, 24> kTokens{
    "{",  "}",  "[",    "]",  ":",    ",",  "\"",  "\\",   "\n",   "---\n", "- ", "? ",
    "&a", "*n", "<<: ", "!!", "null", "-1", "1e9", "true", "\xff", "\t",    "#",  "|\n"};

std::size_t below(std::mt19937& random, std::size_t limit) { return random() % limit; }

std::string mutated(std::string text, std::mt19937& random) {
  for (std::size_t count = 1 + below(random, 4); count > 0 && !text.empty(); --count) {
    const std::size_t at = below(random, text.size());
    const std::size_t size = below(random, 40);
    switch (below(random, 6)) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text.erase(at, size);
        break;
      case 2:
        text.insert(at, text.substr(below(random, text.size()), size));
        break;
      case 3:
        text.insert(at, kTokens[below(random, kTokens.size())]);
        break;
      case 4:
        text.resize(at);  // a writer that got no further
        break;
      default:
        text.replace(at, 1, kTokens[below(random, kTokens.size())]);
        break;
    }
  }
  return text;
}

void expect_one_line(const core::Problem& problem) {
  EXPECT_FALSE(problem.kind.empty() || problem.reason.empty());
  EXPECT_TRUE(is_one_line(problem.message)) << problem.message;
  EXPECT_TRUE(is_one_line(problem.name) && is_one_line(problem.namespace_name));
}

// Whether anything came out of it.
bool check(std::string_view path, const std::string& text) {
  const auto file = decode_manifest(path, text);
  if (!file) {
    EXPECT_TRUE(is_one_line(file.error().message())) << file.error().message() << '\n' << text;
    return false;
  }
  for (const core::Problem& problem : file->problems) expect_one_line(problem);
  for (const DecodedObject& object : file->objects) {
    EXPECT_FALSE(object.id.key.name.empty());
    EXPECT_TRUE(is_one_line(object.id.key.name));
    for (const core::Problem& problem : object.problems) {
      expect_one_line(problem);
      EXPECT_EQ(problem.name, object.id.key.name);
    }
  }
  return true;
}

void check_mutants(std::string_view path, std::string_view seed) {
  // The same mutants in every run, so that a failure can be repeated.
  std::mt19937 random(42);
  ASSERT_TRUE(check(path, std::string(seed)));
  int accepted = 0;
  for (int i = 0; i < kMutants && !testing::Test::HasFailure(); ++i) {
    if (check(path, mutated(std::string(seed), random))) ++accepted;
  }
  // Damage that is always found at the very start would test nothing behind it.
  EXPECT_GT(accepted, kMutants / 50);
  EXPECT_LT(accepted, kMutants);
}

TEST(MutatedManifests, AreJudgedAsJson) { check_mutants("a.json", kJson); }
TEST(MutatedManifests, AreJudgedAsYaml) { check_mutants("a.yaml", kYaml); }
TEST(MutatedManifests, AreJudgedAsJsonInYaml) { check_mutants("a.yaml", kJson); }

}  // namespace
}  // namespace topolb::kube::test
