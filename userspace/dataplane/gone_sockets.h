// SPDX-License-Identifier: Apache-2.0
// Ends UDP sockets that the socket hook connected to backends that are gone
// (docs/decisions/0040-sockets-of-gone-backends.md).
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/bpf_map.h"
#include "dataplane/datapath.h"
#include "maps/layout.h"
#include "util/ip.h"

namespace topolb::dataplane {

/// What one run did.
struct EndedSockets {
  std::uint64_t sockets = 0;
  std::uint32_t namespaces = 0;  // that were looked through
  std::optional<Error> failed;   // the first failure; the run went on
};

class GoneSockets {
 public:
  /// Reads the maps that `datapath` has now: to be loaded anew when that has others. Error: the
  /// kernel has no bpf_sock_destroy (Linux 6.5), or no right.
  static Result<GoneSockets> load(const Datapath& datapath);

  /// In every network namespace that can be found and entered (others need CAP_SYS_ADMIN). Moves
  /// the calling thread from one to the next, and back in the end: for a thread of its own. Leaves
  /// off between two when `stop` becomes true.
  EndedSockets end(std::span<const SocketAddress> gone, const std::atomic<bool>& stop);

 private:
  GoneSockets(UniqueFd link, HashMap<topolb_gone_backend, std::uint32_t> chosen);
  Result<void> choose(std::span<const SocketAddress> gone);
  void end_chosen(EndedSockets& ended, const std::atomic<bool>& stop) const;
  [[nodiscard]] Result<std::uint64_t> end_here() const;

  UniqueFd link_;
  HashMap<topolb_gone_backend, std::uint32_t> chosen_;
};

}  // namespace topolb::dataplane
