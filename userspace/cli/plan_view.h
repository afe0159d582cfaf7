// SPDX-License-Identifier: Apache-2.0
// A plan and its problems, as a table and as the JSON that design.md 4 fixes.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "cli/json.h"
#include "core/plan.h"

namespace topolb::cli {

struct PlanView {
  std::string node;
  std::vector<core::ServicePortPlan> services;  // sorted by key
  std::vector<core::Problem> problems;          // sorted
};

void print_plan_json(std::ostream& out, const PlanView& plan);
void print_plan_table(std::ostream& out, const PlanView& plan);

/// Each problem in two parts: what and where, then its message.
void print_problems_table(std::ostream& out, const std::vector<core::Problem>& problems);
Json to_json(const core::Problem& problem);

/// The members "namespace" to "family" that every Service port has in JSON.
Json::Object service_port_json(const core::ServicePortKey& key, const std::string& port_name);
Json to_json(const std::vector<core::Frontend>& frontends);
/// "10.1.0.5:8080", sorted as strings.
std::vector<std::string> backend_texts(const std::vector<SocketAddress>& backends);

/// "80/TCP"
std::string port_text(std::uint16_t port, Protocol protocol);
/// A topology key in a table: the well-known labels by their last word. A label that is itself
/// such a word stands in quotes.
std::string short_key(std::string_view key);

}  // namespace topolb::cli
