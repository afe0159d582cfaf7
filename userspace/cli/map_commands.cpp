// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "cli/handlers.h"
#include "cli/kernel_tables.h"
#include "cli/map_facts.h"
#include "cli/text.h"

namespace topolb::cli {

int run_map_list(const Invocation& call) {
  int exit_code = kExitOk;
  const auto kernel = read_kernel(call, exit_code);
  if (!kernel) return exit_code;
  const Records maps = map_records(map_facts(*kernel, call.options.pin_path), true);
  if (call.json()) {
    JsonDocument document(call.out);
    maps.add_to(document, "maps");
  } else {
    maps.print_table(call.out);
  }
  return kExitOk;
}

int run_map_dump(const Invocation& call) {
  const std::string& name = call.options.map;
  const auto names = decodable_maps();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    return call.fail(kExitUsage, fmt::format("no map '{}', but {}", name, joined(names)));
  }
  int exit_code = kExitOk;
  const auto kernel = read_kernel(call, exit_code);
  if (!kernel) return exit_code;
  const Records entries = decode_map(*kernel, name);
  if (call.json()) {
    JsonDocument document(call.out);
    document.member("map", name);
    entries.add_to(document, "entries");
  } else if (entries.empty()) {
    call.out << "No entries.\n";
  } else if (name == "settings") {
    entries.print_facts(call.out);
  } else {
    entries.print_table(call.out);
  }
  return kExitOk;
}

}  // namespace topolb::cli
