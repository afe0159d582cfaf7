// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "cli/handlers.h"
#include "cli/map_facts.h"
#include "cli/status_view.h"
#include "dataplane/pins.h"

namespace topolb::cli {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

StatusView read_status(const KernelSnapshot& kernel, const std::string& pin_path) {
  const topolb_settings settings = kernel.maps.settings[0];
  StatusView status{.agent_running = dataplane::is_claimed(pin_path),
                    .node = node_name_of(settings),
                    .pin_path = pin_path,
                    .layout_version = settings.layout_version,
                    .published_s = settings.published_ns / kNsPerSecond,
                    .now_s = static_cast<std::uint64_t>(std::time(nullptr)),
                    .publications = settings.publications,
                    .service_ports = kernel.state.services.size(),
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
