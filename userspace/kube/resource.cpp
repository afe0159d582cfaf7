// SPDX-License-Identifier: Apache-2.0
#include "kube/resource.h"

#include <fmt/format.h>

namespace topolb::kube {

const Resource& resource_of(Kind kind, Form form) {
  static const std::string json = "application/json";
  static const Resource services{"/api/v1/services", {{"v1", "ServiceList"}}, json, json};
  static const Resource slices{"/apis/discovery.k8s.io/v1/endpointslices",
                               {{"discovery.k8s.io/v1", "EndpointSliceList"}},
                               json,
                               json};
  static const Resource whole_nodes{"/api/v1/nodes", {{"v1", "NodeList"}}, json, json};
  // A server that cannot cut objects down sends them whole.
  static const Resource nodes{"/api/v1/nodes",
                              {{"meta.k8s.io/v1", "PartialObjectMetadataList"}, {"v1", "NodeList"}},
                              "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                              "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"};
  if (kind == Kind::Service) return services;
  if (kind == Kind::EndpointSlice) return slices;
  return form == Form::Whole ? whole_nodes : nodes;
}

std::string label_selector_of(Kind kind, const std::string& service_proxy_name) {
  if (kind == Kind::EndpointSlice) return fmt::format("!{}", core::kHeadlessLabel);
  const bool other_proxies = kind == Kind::Service && service_proxy_name.empty();
  return other_proxies ? fmt::format("!{}", core::kServiceProxyNameLabel) : "";
}

std::string prefer_protobuf(std::string_view accept_json) {
  constexpr std::string_view kJson = "application/json";
  return fmt::format("application/vnd.kubernetes.protobuf{0},{1}", accept_json.substr(kJson.size()),
                     accept_json);
}

std::string percent_encode(std::string_view text) {
  static constexpr std::string_view kUnreserved =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string encoded;
  for (const char character : text) {
    if (kUnreserved.find(character) != std::string_view::npos) {
      encoded += character;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(character));
    }
  }
  return encoded;
}

std::string make_target(const std::string& path,
                        const std::vector<std::pair<std::string, std::string>>& query) {
  std::string target = path;
  char separator = '?';
  for (const auto& [name, value] : query) {
    if (value.empty()) continue;
    target += separator + name + "=" + percent_encode(value);
    separator = '&';
  }
  return target;
}

}  // namespace topolb::kube
