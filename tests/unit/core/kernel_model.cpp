// SPDX-License-Identifier: Apache-2.0
#include "kernel_model.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace topolb::core::test {
namespace {

FrontendAddress address_of(const ServicePortKey& service, const Frontend& frontend) {
  return {{frontend.address, frontend.port}, service.protocol};
}

ServicePortPlan without_frontends(ServicePortPlan plan) {
  plan.frontends.clear();
  return plan;
}

struct TextOf {
  static std::string name(const ServicePortKey& key) {
    return fmt::format("{}:{}/{}/{}", key.service.name, key.port, to_string(key.protocol),
                       to_string(key.family));
  }
  static std::string name(const Frontend& frontend) {
    return SocketAddress{frontend.address, frontend.port}.to_string();
  }
  std::string operator()(const PublishService& one) const {
    return "publish " + name(one.plan->key);
  }
  std::string operator()(const AddFrontend& one) const { return "add " + name(one.frontend); }
  std::string operator()(const RemoveFrontend& one) const { return "remove " + name(one.frontend); }
  std::string operator()(const RemoveService& one) const { return "delete " + name(one.service); }
};

}  // namespace

void KernelModel::execute(const std::vector<Operation>& operations) {
  bool deleting = false;
  for (const Operation& operation : operations) {
    const bool deletes = std::holds_alternative<RemoveFrontend>(operation) ||
                         std::holds_alternative<RemoveService>(operation);
    EXPECT_TRUE(deletes || !deleting) << "what adds goes first";
    deleting = deletes;
    std::visit([this](const auto& one) { execute(one); }, operation);
  }
}

void KernelModel::execute(const PublishService& operation) {
  EXPECT_NE(operation.plan->key.protocol, Protocol::SCTP);
  services_[operation.plan->key] = without_frontends(*operation.plan);
}

void KernelModel::execute(const AddFrontend& operation) {
  EXPECT_TRUE(services_.contains(operation.service)) << "a frontend of no service";
  frontends_[address_of(operation.service, operation.frontend)] = {operation.service,
                                                                   operation.frontend.kind};
}

void KernelModel::execute(const RemoveFrontend& operation) {
  const auto entry = frontends_.find(address_of(operation.service, operation.frontend));
  ASSERT_NE(entry, frontends_.end()) << "no such frontend";
  EXPECT_EQ(entry->second.service, operation.service) << "somebody else's frontend";
  frontends_.erase(entry);
}

void KernelModel::execute(const RemoveService& operation) {
  EXPECT_TRUE(std::none_of(frontends_.begin(), frontends_.end(), [&](const auto& frontend) {
    return frontend.second.service == operation.service;
  })) << "a frontend still leads to it";
  EXPECT_EQ(services_.erase(operation.service), 1U) << "no such service";
}

void KernelModel::expect_equals(const std::vector<ServicePortPlan>& plan) const {
  std::map<ServicePortKey, ServicePortPlan> services;
  std::map<FrontendAddress, Entry> frontends;
  for (const ServicePortPlan& port : plan) {
    if (port.key.protocol == Protocol::SCTP) continue;
    services[port.key] = without_frontends(port);
    for (const Frontend& frontend : port.frontends) {
      const auto [entry, is_new] =
          frontends.try_emplace(address_of(port.key, frontend), Entry{port.key, frontend.kind});
      EXPECT_TRUE(is_new) << "two services plan " << TextOf::name(frontend);
    }
  }
  EXPECT_EQ(services_, services);
  EXPECT_EQ(frontends_, frontends);
}

std::vector<std::string> texts_of(const std::vector<Operation>& operations) {
  std::vector<std::string> texts;
  texts.reserve(operations.size());
  for (const Operation& operation : operations) texts.push_back(std::visit(TextOf{}, operation));
  return texts;
}

}  // namespace topolb::core::test
