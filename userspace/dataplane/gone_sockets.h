// SPDX-License-Identifier: Apache-2.0
// Ends UDP sockets that the socket hook connected to backends that are gone
// (docs/decisions/0040-sockets-of-gone-backends.md).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "dataplane/datapath.h"
#include "util/ip.h"

namespace topolb::dataplane {

struct GoneSocketsObject;  // the bpftool skeleton and its link

/// What one run did.
struct EndedSockets {
  std::uint64_t sockets = 0;
  std::uint32_t namespaces = 0;  // that were looked through
  std::optional<Error> failed;   // the first failure; the run went on
};

class GoneSockets {
 public:
  /// `datapath` is loaded; its maps are shared, and it need not stay. Error: the kernel has no
  /// bpf_sock_destroy (Linux 6.5), or no right.
  static Result<GoneSockets> load(const Datapath& datapath);

  GoneSockets(GoneSockets&&) noexcept;
  GoneSockets& operator=(GoneSockets&&) noexcept;
  ~GoneSockets();

  /// In every network namespace that can be found and entered (others need CAP_SYS_ADMIN). Moves
  /// the calling thread from one to the next, and back in the end: for a thread of its own.
  EndedSockets end(std::span<const SocketAddress> gone);

 private:
  GoneSockets();
  Result<void> choose(std::span<const SocketAddress> gone);
  void end_chosen(EndedSockets& ended);
  [[nodiscard]] Result<std::uint64_t> end_here() const;

  std::unique_ptr<GoneSocketsObject> object_;
};

}  // namespace topolb::dataplane
