// SPDX-License-Identifier: Apache-2.0
// Frames as nobody should send them: good ones with fields set to odd values, bytes flipped, cut
// off, inserted, appended; with wrong checksums, or with checksums that are right all the same.
#pragma once

#include <random>

#include "support/packet.h"

namespace topolb::test {

/// The same seed makes the same frames.
class PacketMutator {
 public:
  explicit PacketMutator(std::uint64_t seed) : random_(seed) {}

  /// The frame with up to four changes, none to the link-layer addresses. As the kernel refuses to
  /// run others, it has a whole Ethernet header and the plain IP header that this promises, and
  /// at most 3,000 bytes.
  Bytes mutate(Bytes frame);
  /// Below `limit`, which is not 0.
  std::size_t below(std::size_t limit) { return random_() % limit; }
  bool one_in(std::size_t times) { return below(times) == 0; }
  template <typename T>
  const T& one_of(const std::vector<T>& all) {
    return all[below(all.size())];
  }

 private:
  void change(Bytes& frame);
  void set_field(Bytes& frame);

  std::mt19937_64 random_;
};

/// Makes every checksum right that the frame has, if it is whole so far.
void make_checksums_right(Bytes& frame);

}  // namespace topolb::test
