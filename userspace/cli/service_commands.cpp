// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli/handlers.h"
#include "cli/kernel_view.h"
#include "cli/object_name.h"
#include "cli/plan_view.h"
#include "cli/service_view.h"

namespace topolb::cli {
namespace {

std::string not_found(const ObjectName& name, const dataplane::KernelState& state) {
  std::vector<core::ObjectKey> services;
  std::vector<std::string> ports;
  for (const auto& service : state.services) {
    const auto& key = service.key;
    if (services.empty() || services.back() != key.service) services.push_back(key.service);
    if (key.service != name.service) continue;
    const auto port = port_text(key.port, key.protocol);
    ports.push_back(service.port_name.empty() ? port
                                              : fmt::format("{} ({})", service.port_name, port));
  }
  return ports.empty() ? no_such_service(name, services) : no_such_port(name, ports);
}

}  // namespace

int run_service_list(const Invocation& call) {
  int exit_code = kExitOk;
  const auto kernel = read_kernel(call, exit_code);
  if (!kernel) return exit_code;
  if (call.json()) {
    JsonDocument(call.out).list("services", kernel->state.services, [&](const auto& service) {
      return service_summary_json(view_of(service, kernel->maps));
    });
    return kExitOk;
  }
  std::vector<ServiceView> services;
  for (const auto& service : kernel->state.services) {
    services.push_back(view_of(service, kernel->maps));
  }
  print_service_list(call.out, services);
  return kExitOk;
}

int run_service_show(const Invocation& call) {
  const auto name = parse_object_name(call.options.object);
  if (!name) return call.fail(kExitUsage, name.error().message());
  int exit_code = kExitOk;
  const auto kernel = read_kernel(call, exit_code);
  if (!kernel) return exit_code;
  std::vector<ServiceView> services;
  for (const auto& service : kernel->state.services) {
    if (name->means(service.key, service.port_name)) {
      services.push_back(view_of(service, kernel->maps));
    }
  }
  if (services.empty()) return call.fail(kExitFailed, not_found(*name, kernel->state));
  if (call.json()) {
    JsonDocument(call.out).list("services", services, service_json);
    return kExitOk;
  }
  for (const auto& service : services) {
    if (&service != &services.front()) call.out << "\n\n";
    print_service(call.out, service);
  }
  return kExitOk;
}

}  // namespace topolb::cli
