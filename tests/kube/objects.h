// SPDX-License-Identifier: Apache-2.0
// Objects for the tests, as the API takes them.
#pragma once

#include <cpprest/json.h>
#include <fmt/format.h>

#include <string>

namespace topolb::kube {

inline web::json::value service(const std::string& name, const std::string& address,
                                const std::string& labels = "") {
  return web::json::value::parse(
      fmt::format(R"({{"apiVersion":"v1","kind":"Service",)"
                  R"("metadata":{{"namespace":"default","name":"{}","labels":{{{}}}}},)"
                  R"("spec":{{"clusterIP":"{}","ports":[{{"port":80,"protocol":"TCP"}}]}}}})",
                  name, labels, address));
}

inline web::json::value slice(const std::string& name, const std::string& service,
                              const std::string& address, const std::string& labels = "") {
  return web::json::value::parse(fmt::format(
      R"({{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"IPv4",)"
      R"("metadata":{{"namespace":"default","name":"{}","labels":)"
      R"({{"kubernetes.io/service-name":"{}"{}}}}},"ports":[{{"name":"","port":8080,)"
      R"("protocol":"TCP"}}],"endpoints":[{{"addresses":["{}"],"conditions":{{"ready":true}}}}]}})",
      name, service, labels, address));
}

inline web::json::value node(const std::string& name, const std::string& zone) {
  return web::json::value::parse(
      fmt::format(R"({{"apiVersion":"v1","kind":"Node","metadata":{{"name":"{}","labels":)"
                  R"({{"topology.kubernetes.io/zone":"{}"}}}}}})",
                  name, zone));
}

}  // namespace topolb::kube
