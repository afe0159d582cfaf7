// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>

#include <map>
#include <tuple>

#include "cli/flow_view.h"
#include "cli/handlers.h"
#include "cli/kernel_view.h"
#include "dataplane/flow_table.h"

namespace topolb::cli {
namespace {

using dataplane::FlowTable;
using dataplane::KernelService;

using Frontends = std::map<std::tuple<Protocol, SocketAddress>, const KernelService*>;

Frontends frontends_of(const dataplane::KernelState& state) {
  Frontends frontends;
  for (const auto& service : state.services) {
    for (const auto& frontend : service.frontends) {
      frontends[{service.key.protocol, {frontend.address, frontend.port}}] = &service;
    }
  }
  return frontends;
}

/// Of what a client dialled: a NodePort is a frontend of the unspecified address.
const KernelService* service_of(const Frontends& frontends, Protocol protocol,
                                const SocketAddress& dialled) {
  const auto any = IpAddress::unspecified(dialled.address.family());
  for (const auto& address : {dialled.address, any}) {
    const auto found = frontends.find({protocol, {address, dialled.port}});
    if (found != frontends.end()) return found->second;
  }
  return nullptr;
}

SocketAddress socket_of(const topolb_address& address, std::uint16_t port_be) {
  return {dataplane::from_wire(address), ntohs(port_be)};
}

std::uint64_t seconds_since(std::uint32_t then, std::uint32_t now) {
  // A packet may have come since.
  return static_cast<std::int32_t>(now - then) < 0 ? 0 : topolb_flow_seconds(now - then);
}

std::vector<FlowView> read_flows(const KernelSnapshot& kernel, const FlowTable& table) {
  const auto frontends = frontends_of(kernel.state);
  const auto keys = dataplane::topology_key_names(kernel.maps);
  const auto now = dataplane::flow_time_now();
  std::vector<FlowView> flows;
  table.for_each([&](std::uint32_t, const topolb_flow& flow) {
    const auto protocol = static_cast<Protocol>(flow.protocol);
    const auto frontend = socket_of(flow.frontend, flow.frontend_port_be);
    const auto tier = keys.find(topolb_flow_key_id(&flow));
    flows.push_back({.service = service_of(frontends, protocol, frontend),
                     .protocol = protocol,
                     .frontend = frontend,
                     .client = socket_of(flow.client, flow.client_port_be),
                     .source = socket_of(table.address_seen_by_backend(flow), flow.source_port_be),
                     .backend = socket_of(flow.backend, flow.backend_port_be),
                     .masqueraded = (flow.state & TOPOLB_FLOW_MASQUERADED) != 0,
                     .direct = (flow.state & TOPOLB_FLOW_DIRECT) != 0,
                     .tier = tier == keys.end() ? "" : tier->second,
                     .state = flow_state(flow, now),
                     .age_s = seconds_since(flow.created, now),
                     .idle_s = seconds_since(flow.touched, now)});
  });
  sort_flows(flows);
  return flows;
}

}  // namespace

int run_flow_list(const Invocation& call) {
  int exit_code = kExitOk;
  const auto kernel = read_kernel(call, exit_code);
  if (!kernel) return exit_code;
  const auto table = FlowTable::open_pinned(call.options.pin_path, dataplane::Access::ReadOnly,
                                            kernel->maps.settings[0]);
  std::vector<FlowView> flows;
  if (table) {
    flows = read_flows(*kernel, *table);
  } else if (table.error().code != std::errc::no_such_file_or_directory) {
    return call.fail(kExitFailed, table.error().message());
  }  // else the per-packet path has never been on
  if (call.json()) {
    JsonDocument(call.out).list("flows", flows, flow_json);
  } else if (flows.empty()) {
    call.out << "No flows.\n";
  } else {
    print_flow_list(call.out, flows);
  }
  return kExitOk;
}

}  // namespace topolb::cli
