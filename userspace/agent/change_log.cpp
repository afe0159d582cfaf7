// SPDX-License-Identifier: Apache-2.0
#include "agent/change_log.h"

#include <fmt/format.h>

namespace topolb::agent {
namespace {

std::string name_of(const core::ServicePortKey& key) {
  return fmt::format("{}/{}:{}/{} {}", key.service.namespace_name, key.service.name, key.port,
                     to_string(key.protocol), to_string(key.family));
}

std::string name_of(const core::Frontend& frontend) {
  return fmt::format("{} {}", to_string(frontend.kind),
                     SocketAddress{frontend.address, frontend.port}.to_string());
}

std::string words_of(const core::TrafficPlan& traffic) {
  const auto* tier = traffic.effective();
  if (tier == nullptr) return std::string(to_string(traffic.verdict));
  const auto backends =
      fmt::format("{} backend{}", tier->backends.size(), tier->backends.size() == 1 ? "" : "s");
  return tier->key.empty() ? backends : fmt::format("{} of tier {}", backends, tier->key);
}

std::string describe_one(const core::PublishService& operation) {
  const auto& plan = *operation.plan;
  auto words = fmt::format("service {}: {}", name_of(plan.key), words_of(plan.internal));
  if (plan.external && *plan.external != plan.internal) {
    words += fmt::format("; from outside {}", words_of(*plan.external));
  }
  return words;
}

std::string describe_one(const core::AddFrontend& operation) {
  return fmt::format("service {}: frontend {} added", name_of(operation.service),
                     name_of(operation.frontend));
}

std::string describe_one(const core::RemoveFrontend& operation) {
  return fmt::format("service {}: frontend {} removed", name_of(operation.service),
                     name_of(operation.frontend));
}

std::string describe_one(const core::RemoveService& operation) {
  return fmt::format("service {}: removed", name_of(operation.service));
}

}  // namespace

std::string describe(const core::Operation& operation) {
  return std::visit([](const auto& one) { return describe_one(one); }, operation);
}

}  // namespace topolb::agent
