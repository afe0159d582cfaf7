// SPDX-License-Identifier: Apache-2.0
// What a client of the benchmark does again and again, timed one by one, and what its server does
// about it in the same thread: nobody has to be woken, which takes longer and varies more than all
// that is to be measured. IPv4.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <memory>
#include <string_view>

namespace topolb::bench {

/// Bytes of a request and of its reply.
inline constexpr int kMessageBytes = 32;

/// The server's sockets: one that listens, one for datagrams, both on every address and without
/// waiting. A process that shares them takes turns with the others.
struct ServerSockets {
  int listener = -1;
  int datagrams = -1;
};

/// Keeps what it needs from one operation to the next (a connection, a socket): one object a
/// thread.
class Operation {
 public:
  Operation() = default;
  virtual ~Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  /// How long it took, in ns; throws std::runtime_error when it failed. `check` (not timed): also
  /// throws when the socket does not show what was dialled as its peer.
  virtual std::uint64_t once(const sockaddr_in& target, bool check) = 0;
};

/// By the name of the workload, see README.md; null: there is none of that name.
std::unique_ptr<Operation> make_operation(std::string_view workload, const ServerSockets& server);

}  // namespace topolb::bench
