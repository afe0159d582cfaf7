// SPDX-License-Identifier: Apache-2.0
#include "agent/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <map>

#include "dataplane/kernel_state.h"
#include "util/version.h"

namespace topolb::agent {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

MetricFamily family(const char* name, const char* help, MetricType type) {
  MetricFamily result;
  result.name = name;
  result.help = help;
  result.type = type;
  return result;
}

void add(MetricFamily& family, double value, Labels labels = {}) {
  ClientMetric metric;
  metric.label = std::move(labels);
  if (family.type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  family.metric.push_back(std::move(metric));
}

MetricFamily single(const char* name, const char* help, MetricType type, double value) {
  auto result = family(name, help, type);
  add(result, value);
  return result;
}

double seconds(std::uint64_t ns) { return static_cast<double>(ns) / 1e9; }

// Tier label of each counter of a Service: its topology key, "" without keys.
std::map<std::uint32_t, std::string> tier_names(const dataplane::KernelService& service) {
  std::map<std::uint32_t, std::string> names;
  for (const auto* set : {&service.internal, service.external ? &*service.external : nullptr,
                          service.node_external ? &*service.node_external : nullptr}) {
    if (set == nullptr) continue;
    for (const auto& tier : set->tiers) names[tier.counter] = tier.key;
  }
  return names;
}

void add_connections(const dataplane::KernelMaps& maps, MetricFamily& connections,
                     MetricFamily& refused) {
  for (const auto& service : dataplane::read_kernel_state(maps).services) {
    const Labels labels{{"namespace", service.key.service.namespace_name},
                        {"service", service.key.service.name},
                        {"port", std::to_string(service.key.port)},
                        {"protocol", std::string(to_string(service.key.protocol))},
                        {"family", std::string(to_string(service.key.family))}};
    const auto counts = maps.counters.read(service.first_counter, service.counter_count);
    if (counts.empty()) continue;
    add(refused, static_cast<double>(counts[TOPOLB_COUNTER_REFUSED]), labels);
    for (const auto& [counter, tier] : tier_names(service)) {
      if (counter >= counts.size()) continue;
      auto with_tier = labels;
      with_tier.push_back({"tier", tier});
      add(connections, static_cast<double>(counts[counter]), with_tier);
    }
  }
}

void add_packet_metrics(const Status& status, std::vector<MetricFamily>& families) {
  families.push_back(single("topolb_packet_devices", "Devices that the per-packet path is on.",
                            MetricType::Gauge, static_cast<double>(status.packet_devices)));
  auto events = family("topolb_packet_events_total", "What happened on the per-packet path.",
                       MetricType::Counter);
  for (const auto& event : status.packet_events) {
    add(events, static_cast<double>(event.count), {{"event", event.name}});
  }
  families.push_back(std::move(events));
}

void add_event_metrics(const kube::EventStatus& events, std::vector<MetricFamily>& families) {
  auto tried = family("topolb_events_total",
                      "Kubernetes Events written or counted once more, and tries that failed.",
                      MetricType::Counter);
  add(tried, static_cast<double>(events.written), {{"result", "written"}});
  add(tried, static_cast<double>(events.failed), {{"result", "failed"}});
  families.push_back(std::move(tried));
  families.push_back(single("topolb_events_pending", "Events that this node has to write yet.",
                            MetricType::Gauge, static_cast<double>(events.pending)));
  families.push_back(single("topolb_events_holder",
                            "1 on the node that writes the Events of the cluster's objects.",
                            MetricType::Gauge, events.holds_lease ? 1 : 0));
}

}  // namespace

std::string render_metrics(const Status& status, const dataplane::KernelMaps& maps,
                           const ProxyMetrics& metrics) {
  auto families = metrics.collect();
  auto build = family("topolb_build_info", "Version of the agent.", MetricType::Gauge);
  add(build, 1, {{"version", kVersion}});
  families.push_back(std::move(build));
  families.push_back(single("topolb_ready", "1 once a complete state is in the kernel.",
                            MetricType::Gauge, status.ready ? 1 : 0));
  families.push_back(single("topolb_last_publish_timestamp_seconds",
                            "When the kernel was last brought to the newest state.",
                            MetricType::Gauge, seconds(status.published_ns)));
  families.push_back(single("topolb_last_replan_duration_seconds",
                            "Last change, from decoded objects to the last map write.",
                            MetricType::Gauge, status.last_replan_seconds));
  families.push_back(single("topolb_replans_total", "Batches of changed objects planned.",
                            MetricType::Counter, static_cast<double>(status.replans)));
  families.push_back(single("topolb_operations_total", "Operations executed on the maps.",
                            MetricType::Counter, static_cast<double>(status.changes)));
  families.push_back(single("topolb_service_ports", "Service ports in the plan.", MetricType::Gauge,
                            static_cast<double>(status.service_ports)));

  auto problems =
      family("topolb_problems", "Problems of objects now, by reason.", MetricType::Gauge);
  std::map<std::string, int> by_reason;
  for (const auto& problem : status.problems) ++by_reason[problem.reason];
  for (const auto& [reason, count] : by_reason) add(problems, count, {{"reason", reason}});
  families.push_back(std::move(problems));

  auto used = family("topolb_map_entries", "Entries of a BPF map in use.", MetricType::Gauge);
  auto limit = family("topolb_map_max_entries", "Entries that a BPF map may get room for.",
                      MetricType::Gauge);
  for (const auto& fill : status.all_fill()) {
    add(used, fill.used, {{"map", fill.name}});
    add(limit, fill.capacity, {{"map", fill.name}});
  }
  families.push_back(std::move(used));
  families.push_back(std::move(limit));

  auto ages = family("topolb_watch_age_seconds", "Since the API server was last heard of.",
                     MetricType::Gauge);
  for (const auto& age : status.source_ages) {
    if (age.seconds) add(ages, *age.seconds, {{"kind", age.kind}});
  }
  families.push_back(std::move(ages));
  add_packet_metrics(status, families);
  families.push_back(single("topolb_ended_udp_sockets_total",
                            "UDP sockets ended because their backend is gone.", MetricType::Counter,
                            static_cast<double>(status.ended_sockets)));
  if (status.events) add_event_metrics(*status.events, families);

  auto connections = family("topolb_connections_total",
                            "Connections (datagrams of unconnected UDP sockets) by the topology "
                            "key that decided; tier is empty without keys.",
                            MetricType::Counter);
  auto refused =
      family("topolb_refused_total", "Connections refused or dropped for want of a backend.",
             MetricType::Counter);
  add_connections(maps, connections, refused);
  families.push_back(std::move(connections));
  families.push_back(std::move(refused));
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace topolb::agent
