// SPDX-License-Identifier: Apache-2.0
// topolb's Events and their Lease, as they are at the API server.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "test_cluster.h"

namespace topolb::kube {

/// Those of topolb about a Service of the namespace default.
inline std::vector<web::json::value> events_of(const TestCluster& cluster,
                                               const std::string& service) {
  std::vector<web::json::value> found;
  const auto list = cluster.get("/apis/events.k8s.io/v1/namespaces/default/events");
  if (!list.has_field("items")) return found;
  for (const auto& event : list.at("items").as_array()) {
    if (event.at("regarding").at("name").as_string() == service &&
        event.has_field("reportingController") &&
        event.at("reportingController").as_string() == "topolb") {
      found.push_back(event);
    }
  }
  return found;
}

inline int times_seen(const web::json::value& event) {
  return event.has_object_field("series") ? event.at("series").at("count").as_integer() : 1;
}

inline int count_of(const TestCluster& cluster, const std::string& service) {
  const auto events = events_of(cluster, service);
  EXPECT_LE(events.size(), 1U) << "the same problem has several Events";
  return events.empty() ? 0 : times_seen(events[0]);
}

inline std::string lease_holder(const TestCluster& cluster) {
  const auto lease =
      cluster.get("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/topolb-events");
  if (!lease.has_field("spec") || !lease.at("spec").has_field("holderIdentity")) return "";
  const auto& holder = lease.at("spec").at("holderIdentity");
  return holder.is_string() ? holder.as_string() : "";
}

}  // namespace topolb::kube
