// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "cli/handlers.h"
#include "cli/map_facts.h"
#include "cli/status_view.h"
#include "dataplane/flow_table.h"
#include "dataplane/packet_events.h"
#include "dataplane/pins.h"

namespace topolb::cli {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

std::optional<FlowPressure> read_pressure(const KernelSnapshot& kernel,
                                          const std::string& pin_path) {
  const auto table = dataplane::FlowTable::open_pinned(pin_path, dataplane::Access::ReadOnly,
                                                       kernel.maps.settings[0]);
  const auto map = dataplane::open_pinned(dataplane::pin_of_map(pin_path, "packet_events"));
  if (!table || !map) return std::nullopt;
  FlowPressure pressure{.flows = table->count(), .room = table->capacity()};
  const auto events = dataplane::read_packet_events(map->get());
  if (!events || events->size() < TOPOLB_EVENT_COUNT) return pressure;
  pressure.opened = (*events)[TOPOLB_EVENT_FLOW_OPENED].count;
  pressure.evicted = (*events)[TOPOLB_EVENT_FLOW_EVICTED].count;
  pressure.refused = (*events)[TOPOLB_EVENT_FLOW_REFUSED].count;
  pressure.without_port = (*events)[TOPOLB_EVENT_FLOW_WITHOUT_PORT].count;
  pressure.direct_refused = (*events)[TOPOLB_EVENT_DIRECT_REFUSED].count;
  return pressure;
}

StatusView read_status(const KernelSnapshot& kernel, const std::string& pin_path) {
  const topolb_settings settings = kernel.maps.settings[0];
  StatusView status{.agent_running = dataplane::is_claimed(pin_path),
                    .node = node_name_of(settings),
                    .pin_path = pin_path,
                    .layout_version = settings.layout_version,
                    .published_s = settings.published_ns / kNsPerSecond,
                    .heard_s = settings.heard_ns / kNsPerSecond,
                    .now_s = static_cast<std::uint64_t>(std::time(nullptr)),
                    .publications = settings.publications,
                    .service_ports = kernel.state.services.size(),
                    .flows = read_pressure(kernel, pin_path),
                    .hooks = dataplane::read_hooks(pin_path),
                    .maps = map_facts(kernel, pin_path)};
  for (const auto& backend : kernel.maps.backends.rows()) {
    if (backend.state == TOPOLB_BACKEND_USABLE) ++status.usable_backends;
    if (backend.state == TOPOLB_BACKEND_UNUSABLE) ++status.unusable_backends;
  }
  for (const auto& service : kernel.state.services) status.frontends += service.frontends.size();
  return status;
}

}  // namespace

int run_status(const Invocation& call) {
  int exit_code = kExitOk;
  const auto kernel = read_kernel(call, exit_code);
  if (!kernel) return exit_code;
  const StatusView status = read_status(*kernel, call.options.pin_path);
  if (call.json()) {
    print_status_json(call.out, status);
  } else {
    print_status(call.out, status);
  }
  return status.missing().empty() ? kExitOk : kExitFailed;
}

}  // namespace topolb::cli
