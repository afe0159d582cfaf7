// SPDX-License-Identifier: Apache-2.0
#include "generated_cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace topolb::bench {
namespace {

constexpr std::uint32_t kNamespaces = 100;

std::string namespace_of(std::uint32_t service) {
  return fmt::format("team-{:03}", service % kNamespaces);
}
std::string service_name(std::uint32_t service) { return fmt::format("backend-{:05}", service); }
std::string zone_name(std::uint32_t zone) {
  return fmt::format("eu-central-1{}", static_cast<char>('a' + zone));
}

std::string uid(std::uint64_t seed) {
  return fmt::format("{:08x}-3c5f-4b1e-9d2a-{:012x}", seed & 0xffffffff, seed * 2654435761U);
}

// What server-side tracking adds to each object that somebody has written to.
std::string managed_fields(std::string_view manager, std::string_view fields) {
  return fmt::format(
      R"([{{"manager":"{}","operation":"Update","apiVersion":"v1","time":"2025-11-02T09:14:07Z",)"
      R"("fieldsType":"FieldsV1","fieldsV1":{}}}])",
      manager, fields);
}

std::string ip_text(std::uint32_t address) {
  return fmt::format("10.{}.{}.{}", address >> 16 & 0xff, address >> 8 & 0xff, address & 0xff);
}

}  // namespace

std::uint64_t ClusterSize::endpoints() const {
  const std::uint64_t all = std::uint64_t{services} * endpoints_per_service;
  return endpoints_of_first == 0 ? all : all - endpoints_per_service + endpoints_of_first;
}

GeneratedCluster::GeneratedCluster(const ClusterSize& size)
    : size_(size), pods_(size.endpoints()), zones_(size.nodes), service_versions_(size.services) {
  std::iota(service_versions_.begin(), service_versions_.end(), 1000);
  for (Pod& pod : pods_) {
    pod.address = ++next_address_;
    // Pods of one Service land on nodes far from each other.
    pod.node = static_cast<std::uint32_t>(std::uint64_t{pod.address} * 7919 % size.nodes);
  }
  for (std::uint32_t node = 0; node < size.nodes; ++node) zones_[node] = node % size.zones;
}

std::uint32_t GeneratedCluster::endpoints_of(std::uint32_t service) const {
  return service == 0 && size_.endpoints_of_first != 0 ? size_.endpoints_of_first
                                                       : size_.endpoints_per_service;
}

GeneratedCluster::Pod& GeneratedCluster::pod(std::uint32_t service, std::uint32_t endpoint) {
  const std::uint64_t before = std::uint64_t{service} * size_.endpoints_per_service;
  const std::uint64_t more = service == 0 ? 0 : endpoints_of(0) - size_.endpoints_per_service;
  return pods_[before + more + endpoint];
}

const GeneratedCluster::Pod& GeneratedCluster::pod(std::uint32_t service,
                                                   std::uint32_t endpoint) const {
  return const_cast<GeneratedCluster*>(this)->pod(service, endpoint);
}

std::string GeneratedCluster::service(std::uint32_t number) const {
  const std::string keys =
      R"("topolb.io/topology-keys":"kubernetes.io/hostname, topology.kubernetes.io/zone, *",)";
  return fmt::format(
      R"({{"kind":"Service","apiVersion":"v1","metadata":{{"name":"{0}","namespace":"{1}","uid":"{2}",)"
      R"("resourceVersion":"{3}","creationTimestamp":"2025-10-30T12:01:55Z",)"
      R"("labels":{{"app.kubernetes.io/name":"{0}","app.kubernetes.io/part-of":"{1}"}},)"
      R"("annotations":{{{4}"example.com/owner":"{1}"}},"managedFields":{5}}},)"
      R"("spec":{{"ports":[{{"name":"http","protocol":"TCP","port":80,"targetPort":8080}}],)"
      R"("selector":{{"app.kubernetes.io/name":"{0}"}},"clusterIP":"172.{6}.{7}.{8}",)"
      R"("clusterIPs":["172.{6}.{7}.{8}"],"type":"ClusterIP","sessionAffinity":"None",)"
      R"("ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","internalTrafficPolicy":"Cluster"}},)"
      R"("status":{{"loadBalancer":{{}}}}}})",
      service_name(number), namespace_of(number), uid(number), service_versions_[number],
      size_.keyed ? keys : "",
      managed_fields("kubectl-client-side-apply",
                     R"({"f:metadata":{"f:annotations":{".":{},"f:example.com/owner":{}},)"
                     R"("f:labels":{".":{},"f:app.kubernetes.io/name":{}}},"f:spec":{)"
                     R"("f:internalTrafficPolicy":{},"f:ports":{".":{},"k:{\"port\":80,)"
                     R"(\"protocol\":\"TCP\"}":{".":{},"f:name":{},"f:port":{},"f:protocol":{},)"
                     R"("f:targetPort":{}}},"f:selector":{},"f:sessionAffinity":{},"f:type":{}}})"),
      16 + (number >> 16), number >> 8 & 0xff, number & 0xff);
}

std::string GeneratedCluster::node_name(std::uint32_t number) {
  return fmt::format("ip-10-0-{}-{}.eu-central-1.compute.internal", number >> 8, number & 0xff);
}

std::string GeneratedCluster::node(std::uint32_t number) const {
  const std::string name = node_name(number);
  const std::string zone = zone_name(zones_[number]);
  return fmt::format(
      R"({{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{{"name":"{0}",)"
      R"("uid":"{1}","resourceVersion":"{2}","creationTimestamp":"2025-10-30T11:00:00Z","labels":{{)"
      R"("beta.kubernetes.io/arch":"amd64","beta.kubernetes.io/os":"linux","kubernetes.io/arch":)"
      R"("amd64","kubernetes.io/hostname":"{0}","kubernetes.io/os":"linux",)"
      R"("node.kubernetes.io/instance-type":"m6i.2xlarge","topology.kubernetes.io/region":)"
      R"("eu-central-1","topology.kubernetes.io/zone":"{3}","example.com/rack":"rack-{4}"}},)"
      R"("annotations":{{"node.alpha.kubernetes.io/ttl":"300","volumes.kubernetes.io/)"
      R"(controller-managed-attach-detach":"true"}},"managedFields":{5}}}}})",
      name, uid(number), version_, zone, number / 40,
      managed_fields("kubelet",
                     R"({"f:metadata":{"f:annotations":{".":{},"f:volumes.kubernetes.io/)"
                     R"(controller-managed-attach-detach":{}},"f:labels":{".":{},)"
                     R"("f:kubernetes.io/arch":{},"f:kubernetes.io/hostname":{},)"
                     R"("f:topology.kubernetes.io/zone":{}}}})"));
}

std::uint32_t GeneratedCluster::slices_of(std::uint32_t service) const {
  return (endpoints_of(service) + kSliceLength - 1) / kSliceLength;
}

std::string GeneratedCluster::endpoint_text(std::uint32_t service, std::uint32_t endpoint) const {
  const Pod& one = pod(service, endpoint);
  const bool ready = one.state == EndpointState::Ready;
  return fmt::format(
      R"({{"addresses":["{}"],"conditions":{{"ready":{},"serving":true,"terminating":{}}},)"
      R"("nodeName":"{}","targetRef":{{"kind":"Pod","namespace":"{}","name":"{}-7d4b9c6f58-{:05x}",)"
      R"("uid":"{}"}},"zone":"{}"}})",
      ip_text(one.address), ready, !ready, node_name(one.node), namespace_of(service),
      service_name(service), one.address, uid(one.address), zone_name(zones_[one.node]));
}

std::string GeneratedCluster::slice(std::uint32_t service, std::uint32_t number) const {
  std::string endpoints;
  const std::uint32_t end = std::min(endpoints_of(service), (number + 1) * kSliceLength);
  for (std::uint32_t i = number * kSliceLength; i < end; ++i) {
    if (pod(service, i).state == EndpointState::Gone) continue;
    if (!endpoints.empty()) endpoints += ',';
    endpoints += endpoint_text(service, i);
  }
  return fmt::format(
      R"({{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{{)"
      R"("name":"{0}-{1:05x}","generateName":"{0}-","namespace":"{2}","uid":"{3}",)"
      R"("resourceVersion":"{4}","generation":17,"creationTimestamp":"2025-10-30T12:01:55Z",)"
      R"("labels":{{"app.kubernetes.io/name":"{0}","endpointslice.kubernetes.io/managed-by":)"
      R"("endpointslice-controller.k8s.io","kubernetes.io/service-name":"{0}"}},)"
      R"("annotations":{{"endpoints.kubernetes.io/last-change-trigger-time":"2025-11-02T09:14:07Z"}},)"
      R"("ownerReferences":[{{"apiVersion":"v1","kind":"Service","name":"{0}","uid":"{3}",)"
      R"("controller":true,"blockOwnerDeletion":true}}],"managedFields":{5}}},)"
      R"("addressType":"IPv4","endpoints":[{6}],)"
      R"("ports":[{{"name":"http","port":8080,"protocol":"TCP"}}]}})",
      service_name(service), number, namespace_of(service), uid(service + 1'000'000ULL), version_,
      managed_fields(
          "kube-controller-manager",
          R"({"f:addressType":{},"f:endpoints":{},"f:metadata":{"f:annotations":{".":{},)"
          R"("f:endpoints.kubernetes.io/last-change-trigger-time":{}},"f:generateName":)"
          R"({},"f:labels":{".":{},"f:app.kubernetes.io/name":{}},"f:ownerReferences":)"
          R"({".":{},"k:{\"uid\":\"0000\"}":{}}},"f:ports":{}})"),
      endpoints);
}

void GeneratedCluster::set_state(std::uint32_t service, std::uint32_t endpoint,
                                 EndpointState state) {
  pod(service, endpoint).state = state;
  ++version_;
}

void GeneratedCluster::replace(std::uint32_t service, std::uint32_t endpoint) {
  Pod& one = pod(service, endpoint);
  one = {++next_address_, (one.node + 1) % size_.nodes, EndpointState::Ready};
  ++version_;
}

void GeneratedCluster::touch(std::uint32_t service) { service_versions_[service] = ++version_; }

void GeneratedCluster::set_zone_of_node(std::uint32_t node, std::uint32_t zone) {
  zones_[node] = zone;
  ++version_;
}

std::uint32_t GeneratedCluster::node_of(std::uint32_t service, std::uint32_t endpoint) const {
  return pod(service, endpoint).node;
}

}  // namespace topolb::bench
