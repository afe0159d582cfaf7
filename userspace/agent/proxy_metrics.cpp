// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy_metrics.h"

#include <string>

namespace topolb::agent {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Histogram;

double to_seconds(std::uint64_t ns) { return static_cast<double>(ns) / 1e9; }

// kube-proxy's: 1 ms to 16 s, each the double of the one before.
Histogram::BucketBoundaries sync_buckets() {
  Histogram::BucketBoundaries buckets;
  double bound = 0.001;
  for (int i = 0; i < 15; ++i, bound *= 2) buckets.push_back(bound);
  return buckets;
}

// kube-proxy's: 0.25 s to 5 minutes, ever coarser.
Histogram::BucketBoundaries programming_buckets() {
  Histogram::BucketBoundaries buckets{0.25, 0.5};
  for (int seconds = 1; seconds < 60; ++seconds) buckets.push_back(seconds);
  for (int seconds = 60; seconds < 120; seconds += 5) buckets.push_back(seconds);
  for (int seconds = 120; seconds <= 300; seconds += 30) buckets.push_back(seconds);
  return buckets;
}

prometheus::Family<prometheus::Counter>& probes(prometheus::Registry& registry, const char* name,
                                                const char* help) {
  return BuildCounter().Name(name).Help(help).Register(registry);
}

}  // namespace

ProxyMetrics::ProxyMetrics(std::uint64_t started_ns)
    : started_ns_(started_ns),
      registry_(std::make_unique<prometheus::Registry>()),
      services_(make_changes("kubeproxy_sync_proxy_rules_service_changes_total",
                             "kubeproxy_sync_proxy_rules_service_changes_pending", "Service")),
      slices_(make_changes("kubeproxy_sync_proxy_rules_endpoint_changes_total",
                           "kubeproxy_sync_proxy_rules_endpoint_changes_pending", "EndpointSlice")),
      healthz_(probes(*registry_, "kubeproxy_proxy_healthz_total",
                      "Answers of /healthz by HTTP status.")),
      livez_(
          probes(*registry_, "kubeproxy_proxy_livez_total", "Answers of /livez by HTTP status.")) {
  auto& duration = BuildHistogram()
                       .Name("kubeproxy_sync_proxy_rules_duration_seconds")
                       .Help("From decoded objects to the last map write.")
                       .Register(*registry_);
  auto& last = BuildGauge()
                   .Name("kubeproxy_sync_proxy_rules_last_timestamp_seconds")
                   .Help("When the kernel was last brought to the newest state.")
                   .Register(*registry_);
  auto& last_queued = BuildGauge()
                          .Name("kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds")
                          .Help("When the last change came.")
                          .Register(*registry_);
  auto& programming = BuildHistogram()
                          .Name("kubeproxy_network_programming_duration_seconds")
                          .Help(
                              "From what changed endpoints (a pod became ready, say) to the "
                              "kernel, by the clocks of both.")
                          .Register(*registry_);
  for (const auto family : {Family::IPv4, Family::IPv6}) {
    const prometheus::Labels labels{{"ip_family", std::string(to_string(family))}};
    families_.emplace(
        family, Sync{duration.Add(labels, sync_buckets()), last.Add(labels),
                     last_queued.Add(labels), programming.Add(labels, programming_buckets())});
  }
}

ProxyMetrics::Changes ProxyMetrics::make_changes(const char* total, const char* pending,
                                                 const char* what) {
  const std::string kind = what;
  return {BuildCounter().Name(total).Help(kind + " changes seen.").Register(*registry_).Add({}),
          BuildGauge()
              .Name(pending)
              .Help(kind + " changes that are not in the kernel yet.")
              .Register(*registry_)
              .Add({})};
}

void ProxyMetrics::count(Changes& changes, std::uint64_t now_ns) {
  changes.total.Increment();
  changes.pending.Increment();
  for (auto& [family, sync] : families_) sync.last_queued.Set(to_seconds(now_ns));
}

void ProxyMetrics::queued(const core::Service&, std::uint64_t now_ns) { count(services_, now_ns); }

void ProxyMetrics::service_removed(std::uint64_t now_ns) { count(services_, now_ns); }

// A trigger counts once: whatever else changes in a slice later leaves its annotation as it is.
void ProxyMetrics::queued(const core::EndpointSlice& slice, std::uint64_t now_ns) {
  count(slices_, now_ns);
  if (slice.triggered_ns <= started_ns_) return;
  auto& last = last_triggers_[slice.key];
  if (slice.triggered_ns <= last) return;
  last = slice.triggered_ns;
  waiting_[slice.key] = {slice.family, slice.triggered_ns};
}

void ProxyMetrics::slice_removed(const core::ObjectKey& slice, std::uint64_t now_ns) {
  count(slices_, now_ns);
  last_triggers_.erase(slice);
  waiting_.erase(slice);
}

void ProxyMetrics::synced(double seconds, std::uint64_t now_ns) {
  for (auto& [family, sync] : families_) {
    sync.duration.Observe(seconds);
    sync.last.Set(to_seconds(now_ns));
  }
  for (const auto& [slice, trigger] : waiting_) {
    // The clocks may differ.
    const auto elapsed_ns = now_ns > trigger.time_ns ? now_ns - trigger.time_ns : 0;
    families_.at(trigger.family).programming.Observe(to_seconds(elapsed_ns));
  }
  waiting_.clear();
  services_.pending.Set(0);
  slices_.pending.Set(0);
}

void ProxyMetrics::answered_healthz(int status) {
  healthz_.Add({{"code", std::to_string(status)}}).Increment();
}

void ProxyMetrics::answered_livez(int status) {
  livez_.Add({{"code", std::to_string(status)}}).Increment();
}

}  // namespace topolb::agent
