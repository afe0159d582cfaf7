// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli/handlers.h"
#include "cli/json.h"
#include "cli/text.h"
#include "dataplane/pins.h"

namespace topolb::cli {

int run_cleanup(const Invocation& call) {
  const auto removed = dataplane::remove_pins(call.options.pin_path);
  if (!removed) {
    const auto& error = removed.error();
    const bool no_right = error.code == std::errc::permission_denied ||
                          error.code == std::errc::operation_not_permitted;
    if (!no_right) return call.fail(kExitFailed, error.message());
    return call.fail(kExitUsage,
                     fmt::format("no right to remove {}: run it as root", call.options.pin_path));
  }
  if (call.json()) {
    JsonDocument(call.out).member("removed", Json(*removed));
    return kExitOk;
  }
  if (removed->empty()) {
    call.out << "Nothing of topolb at " << printable(call.options.pin_path) << ".\n";
    return kExitOk;
  }
  for (const auto& pin : *removed) call.out << "removed " << printable(pin) << '\n';
  return kExitOk;
}

}  // namespace topolb::cli
