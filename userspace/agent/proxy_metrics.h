// SPDX-License-Identifier: Apache-2.0
// What kube-proxy tells of itself, under its names, so that dashboards and alerts keep working: how
// long changes take into the kernel, and which probes were answered how. Thread-safe.
// Source: kube-proxy's pkg/proxy/metrics and EndpointsChangeTracker.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "core/model.h"

namespace topolb::agent {

class ProxyMetrics {
 public:
  /// Changes of endpoints that were triggered before `started_ns` are not measured.
  explicit ProxyMetrics(std::uint64_t started_ns);

  /// A changed object has come; it waits for synced().
  void queued(const core::Service& service, std::uint64_t now_ns);
  void queued(const core::EndpointSlice& slice, std::uint64_t now_ns);
  /// So has the news that one is gone.
  void service_removed(std::uint64_t now_ns);
  void slice_removed(const core::ObjectKey& slice, std::uint64_t now_ns);
  /// All that waited is in the kernel since `now_ns`, after `seconds`.
  void synced(double seconds, std::uint64_t now_ns);

  void answered_healthz(int status);
  void answered_livez(int status);

  [[nodiscard]] std::vector<prometheus::MetricFamily> collect() const {
    return registry_->Collect();
  }

 private:
  struct Sync {
    prometheus::Histogram& duration;
    prometheus::Gauge& last;
    prometheus::Gauge& last_queued;
    prometheus::Histogram& programming;
  };
  struct Changes {
    prometheus::Counter& total;
    prometheus::Gauge& pending;
  };
  struct Trigger {
    Family family = Family::IPv4;
    std::uint64_t time_ns = 0;
  };

  Changes make_changes(const char* total, const char* pending, const char* what);
  void count(Changes& changes, std::uint64_t now_ns);

  std::uint64_t started_ns_;
  std::unique_ptr<prometheus::Registry> registry_;
  std::map<Family, Sync> families_;
  Changes services_;
  Changes slices_;
  prometheus::Family<prometheus::Counter>& healthz_;
  prometheus::Family<prometheus::Counter>& livez_;
  std::map<core::ObjectKey, std::uint64_t> last_triggers_;  // of slices
  std::map<core::ObjectKey, Trigger> waiting_;              // for synced()
};

}  // namespace topolb::agent
