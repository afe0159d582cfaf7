// SPDX-License-Identifier: Apache-2.0
// topolbd's flags.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "agent/packet_path.h"
#include "agent/source.h"
#include "core/cluster_state.h"
#include "dataplane/datapath.h"
#include "util/result.h"

namespace topolb::agent {

struct Options {
  core::PlanOptions plan;
  std::string manifests;  // --manifests; "": the API is the source
  ApiSourceOptions api;
  dataplane::DatapathOptions datapath;  // cgroup_path "" until found
  PacketOptions packets;
  std::optional<SocketAddress> listen;  // none: no HTTP server
  std::uint32_t event_delay_s = 30;
  bool verbose = false;
};

/// What parse_options says instead of options: text for stdout (help, version) with exit code 0, or
/// one line for stderr with exit code 2.
struct EarlyExit {
  int code = 0;
  std::string text;
};

std::variant<Options, EarlyExit> parse_options(int argc, const char* const* argv);

}  // namespace topolb::agent
