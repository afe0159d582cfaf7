// SPDX-License-Identifier: Apache-2.0
// What the operations of a diff come to when they are executed one after the other; fails the
// test at an operation that a kernel could not execute in this order.
#pragma once

#include <map>
#include <vector>

#include "core/cluster_state.h"
#include "core/frontend_address.h"

namespace topolb::core::test {

class KernelModel {
 public:
  void execute(const std::vector<Operation>& operations);
  /// Fails the test where the state is not exactly that of the plan (without SCTP).
  void expect_equals(const std::vector<ServicePortPlan>& plan) const;

 private:
  struct Entry {
    ServicePortKey service;
    FrontendKind kind = FrontendKind::ClusterIP;
    bool operator==(const Entry&) const = default;
  };
  void execute(const PublishService& operation);
  void execute(const AddFrontend& operation);
  void execute(const RemoveFrontend& operation);
  void execute(const RemoveService& operation);

  std::map<ServicePortKey, ServicePortPlan> services_;  // their frontends are in frontends_
  std::map<FrontendAddress, Entry> frontends_;
};

/// "publish web:80/TCP/IPv4", "add 10.96.0.1:80", "remove 10.96.0.1:80", "delete web:80/TCP/IPv4".
std::vector<std::string> texts_of(const std::vector<Operation>& operations);

}  // namespace topolb::core::test
