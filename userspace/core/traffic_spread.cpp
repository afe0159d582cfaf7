// SPDX-License-Identifier: Apache-2.0
#include "core/traffic_spread.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "core/frontends.h"
#include "core/outcomes.h"
#include "core/topology_keys.h"

namespace topolb::core {
namespace {

/// Every ready endpoint, and those that only a node without a ready one uses; all that terminate
/// when none is ready. Sorted by backend.
std::vector<PortEndpoint> usable_endpoints(std::vector<PortEndpoint> endpoints,
                                           const std::vector<Outcome>& outcomes) {
  const bool any_ready =
      std::ranges::any_of(endpoints, [](const PortEndpoint& e) { return e.ready; });
  const auto is_used = [&](const PortEndpoint& endpoint) {
    return std::ranges::any_of(outcomes, [&](const Outcome& outcome) {
      return std::ranges::binary_search(outcome.backends, endpoint.backend);
    });
  };
  std::erase_if(endpoints, [&](const PortEndpoint& endpoint) {
    if (endpoint.ready) return false;
    return !endpoint.serving_terminating() || (any_ready && !is_used(endpoint));
  });
  return endpoints;
}

/// Adds up what the outcomes of one kind of traffic to a Service port come to.
class Spreader {
 public:
  /// `endpoints` are all of the Service port.
  Spreader(std::vector<PortEndpoint> endpoints, const std::vector<Outcome>& outcomes,
           NodeTable& nodes)
      : endpoints_(usable_endpoints(std::move(endpoints), outcomes)), nodes_(nodes) {}

  TrafficSpread spread(std::vector<Outcome> outcomes, const std::vector<std::string>& keys) {
    TrafficSpread result;
    result.outcomes = std::move(outcomes);
    add_backends(result);
    for (const std::string& key : keys) {
      if (!is_divided_by(key)) continue;
      auto domains = domains_of(result, key);
      result.domains.insert(result.domains.end(), domains.begin(), domains.end());
    }
    return result;
  }

 private:
  [[nodiscard]] double total() const { return static_cast<double>(nodes_.size()); }

  /// Its place in endpoints_. @pre an outcome has it.
  [[nodiscard]] std::size_t index_of(const SocketAddress& backend) const {
    const auto found = std::ranges::lower_bound(
        endpoints_, backend, {}, [](const PortEndpoint& endpoint) { return endpoint.backend; });
    return static_cast<std::size_t>(found - endpoints_.begin());
  }

  void add_backends(TrafficSpread& result) {
    result.backends.reserve(endpoints_.size());
    for (const PortEndpoint& endpoint : endpoints_) {
      result.backends.push_back({endpoint.backend, endpoint.placement->node_name, 0, 0});
    }
    for (const Outcome& outcome : result.outcomes) {
      if (outcome.backends.empty()) continue;
      const double each = static_cast<double>(outcome.nodes.size()) /
                          static_cast<double>(outcome.backends.size()) / total();
      for (const SocketAddress& backend : outcome.backends) {
        result.backends[index_of(backend)].share += each;
      }
    }
    const double forwarded = static_cast<double>(result.nodes_with(Verdict::Forward)) / total();
    fair_share_ = endpoints_.empty() ? 0 : forwarded / static_cast<double>(endpoints_.size());
    if (fair_share_ == 0) return;
    for (BackendLoad& backend : result.backends) backend.ratio = backend.share / fair_share_;
  }

  /// Whether the key makes domains of more than one node, or is the zone.
  [[nodiscard]] bool is_divided_by(const std::string& key) {
    const LabelColumn& column = nodes_.column(key);
    const auto labelled = static_cast<std::size_t>(std::ranges::count_if(
        column.of_node, [](std::uint32_t value) { return value != LabelColumn::kNoLabel; }));
    if (key == kZoneLabel) return labelled > 0;
    return labelled + 1 > column.texts.size();
  }

  /// The value of the label where an endpoint is.
  [[nodiscard]] std::uint32_t value_of(const Placement& placement, const std::string& key) {
    const LabelColumn& column = nodes_.column(key);
    const std::uint32_t node = nodes_.find(placement.node_name);
    if (node != NodeTable::kUnknown) return column.of_node[node];
    return key == kZoneLabel ? column.number_of(placement.zone) : LabelColumn::kNoLabel;
  }

  std::vector<DomainLoad> domains_of(const TrafficSpread& spread, const std::string& key) {
    const LabelColumn& column = nodes_.column(key);
    std::vector<DomainLoad> domains(column.texts.size());
    std::vector<std::uint32_t> of_backend;
    for (std::size_t i = 0; i < endpoints_.size(); ++i) {
      of_backend.push_back(value_of(*endpoints_[i].placement, key));
      DomainLoad& domain = domains[of_backend.back()];
      ++domain.backends;
      domain.share += spread.backends[i].share;
    }
    for (const Outcome& outcome : spread.outcomes) {
      count(outcome, column, of_backend, domains);
    }
    for (std::size_t value = 0; value < domains.size(); ++value) {
      DomainLoad& domain = domains[value];
      domain.key = key;
      if (value != LabelColumn::kNoLabel) domain.value = column.texts[value];
      domain.sent = static_cast<double>(domain.nodes) / total();
      const double fair = fair_share_ * static_cast<double>(domain.backends);
      if (fair > 0) domain.ratio = domain.share / fair;
    }
    std::erase_if(domains, [](const DomainLoad& d) { return d.nodes == 0 && d.backends == 0; });
    std::ranges::sort(domains, [](const DomainLoad& a, const DomainLoad& b) {
      if (a.value.has_value() != b.value.has_value()) return a.value.has_value();
      return a.value < b.value;
    });
    return domains;
  }

  void count(const Outcome& outcome, const LabelColumn& column,
             const std::vector<std::uint32_t>& of_backend, std::vector<DomainLoad>& domains) {
    std::vector<std::size_t> nodes_here(domains.size(), 0);
    for (const std::uint32_t node : outcome.nodes) ++nodes_here[column.of_node[node]];
    for (std::size_t value = 0; value < domains.size(); ++value) {
      domains[value].nodes += nodes_here[value];
      if (outcome.backends.empty()) domains[value].nodes_without_backend += nodes_here[value];
    }
    for (const SocketAddress& backend : outcome.backends) {
      const std::uint32_t value = of_backend[index_of(backend)];
      domains[value].kept += static_cast<double>(nodes_here[value]) /
                             static_cast<double>(outcome.backends.size()) / total();
    }
  }

  std::vector<PortEndpoint> endpoints_;
  NodeTable& nodes_;
  double fair_share_ = 0;
};

std::vector<std::string> domain_keys(std::vector<std::string> keys) {
  std::erase_if(keys,
                [](const std::string& k) { return k == kAnyTopology || k == kHostnameLabel; });
  if (keys.empty()) keys.emplace_back(kZoneLabel);
  return keys;
}

}  // namespace

std::size_t TrafficSpread::nodes_with(Verdict verdict) const {
  return std::accumulate(outcomes.begin(), outcomes.end(), std::size_t{0},
                         [verdict](std::size_t sum, const Outcome& outcome) {
                           return sum + (outcome.verdict == verdict ? outcome.nodes.size() : 0);
                         });
}

std::vector<PortSpread> spread_on_all_nodes(const Service& service,
                                            const ServiceEndpoints& endpoints, NodeTable& nodes) {
  const auto groups = plan_on_all_nodes(service, endpoints, nodes);
  if (groups.empty()) return {};
  const auto topology_keys = topology_keys_of(service).keys;
  const auto keys = domain_keys(topology_keys);
  const auto ports = service_ports_of(service);
  std::vector<PortSpread> spreads;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const ServicePortPlan& plan = groups.front().plan.ports[i];
    const auto of_port = endpoints.of_port(*ports[i].port, ports[i].family);
    const auto spread_of = [&](TrafficOf traffic_of) {
      auto outcomes = outcomes_of(groups, i, traffic_of);
      Spreader spreader(of_port, outcomes, nodes);
      return spreader.spread(std::move(outcomes), keys);
    };
    PortSpread& spread = spreads.emplace_back();
    spread.key = plan.key;
    spread.port_name = plan.port_name;
    spread.topology_keys = topology_keys;
    spread.internal = spread_of(internal_of);
    if (plan.external) spread.external = spread_of(external_of);
  }
  return spreads;
}

}  // namespace topolb::core
