// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli/handlers.h"
#include "cli/json.h"
#include "dataplane/kernel_maps.h"
#include "util/version.h"

namespace topolb::cli {

int run_version(const Invocation& call) {
  if (call.json()) {
    JsonDocument document(call.out);
    document.member("version", kVersion);
    document.member("layout_version", std::uint32_t{TOPOLB_LAYOUT_VERSION});
  } else {
    call.out << fmt::format("topolb {} (map layout {})\n", kVersion, TOPOLB_LAYOUT_VERSION);
  }
  return kExitOk;
}

}  // namespace topolb::cli
