// SPDX-License-Identifier: Apache-2.0
#include "agent/events.h"

#include <spdlog/spdlog.h>

#include <random>

#include "kube/cluster_config.h"

namespace topolb::agent {
namespace {

kube::EventWriterOptions writer_options(const std::string& node_name, std::uint32_t delay_s) {
  kube::EventWriterOptions options;
  options.node_name = node_name;
  options.lease_namespace = kube::own_namespace();
  options.lease.first_look = std::chrono::seconds(delay_s);
  return options;
}

kube::EventWriter::Environment environment(kube::Api& api) {
  return {api, [] { return std::chrono::steady_clock::now(); },
          [] { return std::chrono::system_clock::now(); },
          [engine = std::mt19937(std::random_device{}()),
           distribution = std::uniform_real_distribution<double>(0, 1)]() mutable {
            return distribution(engine);
          }};
}

}  // namespace

Events::Events(std::shared_ptr<kube::Api> api, const std::string& node_name, std::uint32_t delay_s)
    : api_(std::move(api)),
      writer_(writer_options(node_name, delay_s), environment(*api_)),
      thread_([this](const std::stop_token& stop) { writer_.run(stop); }) {}

kube::EventStatus Events::look() {
  auto status = writer_.status();
  if (status.error != logged_error_ && !status.error.empty()) {
    spdlog::warn("Events: {}", status.error);
  }
  logged_error_ = status.error;
  return status;
}

}  // namespace topolb::agent
