// SPDX-License-Identifier: Apache-2.0
// Small clusters as short texts, so that a table of cases reads as a table.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/cluster_state.h"
#include "core/model.h"
#include "core/plan.h"

namespace topolb::core::test {

/// "NUMBER[@NODE] [STATE] [zone=Z] [for-nodes=N,..] [for-zones=Z,..]": the endpoint 10.1.0.NUMBER.
/// STATE: "unready" (neither), "serving" (not ready, not terminating), "terminating" (serving),
/// "gone" (terminating, not serving), "ready-terminating"; none: ready.
Endpoint endpoint(const std::string& text);

/// "name: key=value key=value"; a value may be empty.
Node node(const std::string& text);

/// Service default/web, cluster IP 10.96.0.1, one unnamed port 80/TCP.
Service web_service();
/// A slice default/NAME of Service "web" in IPv4, unnamed port 8080/TCP.
EndpointSlice web_slice(const std::vector<std::string>& endpoints,
                        const std::string& name = "web-1");

/// web_service() with another name, cluster IP, and the annotation of topology keys.
Service service(const std::string& name, const std::string& address, const std::string& keys = "");
/// The slice NAME-1 of such a Service.
EndpointSlice slice(const std::string& service_name, const std::vector<std::string>& endpoints);

IpAddress ip(std::string_view text);

/// The view from the node `name`; `nodes` must outlive it.
NodeView view_of(const std::map<std::string, Labels>& nodes, const std::string& name);

/// Nodes by name, and a view from one of them.
class Nodes {
 public:
  explicit Nodes(const std::vector<std::string>& texts);
  [[nodiscard]] NodeView view(const std::string& name) const { return view_of(labels_, name); }

 private:
  std::map<std::string, Labels> labels_;
};

/// The endpoints of one Service.
class MergedEndpoints {
 public:
  explicit MergedEndpoints(const std::vector<EndpointSlice>& slices);
  operator const ServiceEndpoints&() const { return endpoints_; }
  [[nodiscard]] std::vector<PortEndpoint> of_port(const ServicePort& port, Family family) const {
    return endpoints_.of_port(port, family);
  }

 private:
  Pools pools_;
  ServiceEndpoints endpoints_{pools_};
};

/// "reject", "drop", "forward: 1 2", with keys "forward zone: 1 2": the last parts of the
/// effective backends' addresses.
std::string text_of(const TrafficPlan& plan);

/// As node "n1" sees it.
ClusterState on_n1();
/// text_of() what is planned for a Service within the cluster; "no plan": none is.
std::string internal_of(const ClusterState& state, const std::string& name);

}  // namespace topolb::core::test
