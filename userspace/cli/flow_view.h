// SPDX-License-Identifier: Apache-2.0
// Flows of the per-packet path, as text and JSON.
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "cli/json.h"
#include "dataplane/kernel_state.h"

namespace topolb::cli {

struct FlowView {
  const dataplane::KernelService* service = nullptr;  // null: it is gone
  Protocol protocol = Protocol::TCP;
  SocketAddress frontend;
  SocketAddress client;
  SocketAddress source;  // the client, as the backend sees it
  SocketAddress backend;
  bool masqueraded = false;
  bool direct = false;  // the backend's node answers (--dsr)
  std::string tier;     // the topology key that chose; "": the Service had none
  std::string_view state;
  std::uint64_t age_s = 0;
  std::uint64_t idle_s = 0;
};

/// "opening", "established", "half-closed", "closed", "reset"; of UDP "unreplied", "replied";
/// "expired" of any that is over by its timeout at `now`, in units of topolb_flow_time().
std::string_view flow_state(const topolb_flow& flow, std::uint32_t now);

/// By Service (those that are gone last), frontend, tier, client.
void sort_flows(std::vector<FlowView>& flows);

/// With a heading for each Service, frontend and tier. @pre sorted.
void print_flow_list(std::ostream& out, const std::vector<FlowView>& flows);
Json flow_json(const FlowView& flow);

}  // namespace topolb::cli
