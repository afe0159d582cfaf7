// SPDX-License-Identifier: Apache-2.0
#include "cli/flow_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "cli/kernel_view.h"
#include "cli/plan_view.h"
#include "cli/table.h"
#include "cli/text.h"
#include "dataplane/flow_table.h"

namespace topolb::cli {
namespace {

auto group_of(const FlowView& flow) {
  return std::tie(flow.service, flow.frontend, flow.protocol, flow.tier);
}

std::string heading_of(const FlowView& flow) {
  const auto service = flow.service == nullptr ? fmt::format("(gone) {}", to_string(flow.protocol))
                                               : service_port_text(flow.service->key);
  return fmt::format("{} at {}{}", service, flow.frontend.to_string(),
                     flow.tier.empty() ? "" : " by " + short_key(flow.tier));
}

}  // namespace

std::string_view flow_state(const topolb_flow& flow, std::uint32_t now) {
  if (dataplane::is_idle_too_long(flow, now)) return "expired";
  const auto state = flow.state;
  if (static_cast<Protocol>(flow.protocol) != Protocol::TCP) {
    return (state & TOPOLB_FLOW_REPLIED) != 0 ? "replied" : "unreplied";
  }
  if ((state & TOPOLB_FLOW_RESET) != 0) return "reset";
  if ((state & TOPOLB_FLOW_CLOSED) == TOPOLB_FLOW_CLOSED) return "closed";
  if ((state & TOPOLB_FLOW_CLOSED) != 0) return "half-closed";
  return (state & TOPOLB_FLOW_REPLIED) != 0 ? "established" : "opening";
}

void sort_flows(std::vector<FlowView>& flows) {
  std::sort(flows.begin(), flows.end(), [](const FlowView& a, const FlowView& b) {
    if (a.service != b.service) {
      if (a.service == nullptr || b.service == nullptr) return b.service == nullptr;
      return a.service->key < b.service->key;
    }
    return std::tie(a.frontend, a.protocol, a.tier, a.client) <
           std::tie(b.frontend, b.protocol, b.tier, b.client);
  });
}

void print_flow_list(std::ostream& out, const std::vector<FlowView>& flows) {
  Table table(
      {{"CLIENT"}, {"AS"}, {"BACKEND"}, {"STATE"}, {"AGE", Align::Right}, {"IDLE", Align::Right}},
      2);
  const FlowView* previous = nullptr;
  for (const auto& flow : flows) {
    if (previous == nullptr || group_of(flow) != group_of(*previous)) {
      table.line(heading_of(flow), 0);
    }
    previous = &flow;
    table.row({flow.client.to_string(),
               flow.source == flow.client ? "-" : fmt::format(":{}", flow.source.port),
               flow.backend.to_string(), std::string(flow.state), duration_text(flow.age_s),
               duration_text(flow.idle_s)});
  }
  table.print(out);
}

Json flow_json(const FlowView& flow) {
  return Json::Object{
      {"service", service_port_json(flow.service)},
      {"protocol", to_string(flow.protocol)},
      {"family", to_string(flow.client.address.family())},
      {"frontend", flow.frontend.to_string()},
      {"client", flow.client.to_string()},
      {"source", flow.source.to_string()},
      {"masqueraded", flow.masqueraded},
      {"direct", flow.direct},
      {"backend", flow.backend.to_string()},
      {"tier", flow.tier.empty() ? Json() : Json(flow.tier)},
      {"state", flow.state},
      {"age_seconds", flow.age_s},
      {"idle_seconds", flow.idle_s},
  };
}

}  // namespace topolb::cli
