// SPDX-License-Identifier: Apache-2.0
// Whole frames to and from a device, as a network card or a socket of this machine would hand them
// over: with the checksum left to the device, or many segments in one.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "support/packet.h"
#include "util/unique_fd.h"

namespace topolb::test {

/// What is still to be done to a frame.
struct Offload {
  bool checksum = false;       // to be completed, from the transport header on
  std::uint16_t gso_size = 0;  // of TCP: to be cut into segments of so much
};

struct Received {
  Bytes frame;  // as on a wire: with its VLAN tags, and the checksum that is left to the device
  bool needs_checksum = false;
};

/// In the network namespace of the thread that makes it. Throws when it can't be had.
class PacketSocket {
 public:
  explicit PacketSocket(const std::string& device);

  /// Throws when the kernel refuses the frame.
  void send(Bytes frame, const Offload& offload = {}) const;
  /// The next frame that is `wanted`, of those that came in by the device; none within 5 s.
  [[nodiscard]] std::optional<Received> receive(
      const std::function<bool(const Bytes&)>& wanted) const;

 private:
  UniqueFd socket_;
};

}  // namespace topolb::test
