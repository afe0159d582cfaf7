// SPDX-License-Identifier: Apache-2.0
#include "cli/handlers.h"
#include "cli/kernel_tables.h"

namespace topolb::cli {

int run_backend_list(const Invocation& call) {
  int exit_code = kExitOk;
  const auto kernel = read_kernel(call, exit_code);
  if (!kernel) return exit_code;
  const Records backends = list_backends(*kernel);
  if (call.json()) {
    JsonDocument document(call.out);
    backends.add_to(document, "backends");
  } else if (backends.empty()) {
    call.out << "No backends.\n";
  } else {
    backends.print_table(call.out);
  }
  return kExitOk;
}

}  // namespace topolb::cli
