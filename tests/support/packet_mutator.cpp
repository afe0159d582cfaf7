// SPDX-License-Identifier: Apache-2.0
#include "support/packet_mutator.h"

#include <algorithm>
#include <array>

#include "support/dissect.h"

namespace topolb::test {
namespace {

constexpr std::size_t kAddresses = 12;  // of the link layer
constexpr std::size_t kEthernet = 14;
constexpr std::size_t kLargest = 3000;

void put_checksum(Bytes& frame, std::size_t at, std::uint16_t sum) {
  const auto checksum = static_cast<std::uint16_t>(~sum);
  frame[at] = static_cast<std::uint8_t>(checksum >> 8);
  frame[at + 1] = static_cast<std::uint8_t>(checksum);
}

std::size_t least_size(const Bytes& frame) {
  const int type = frame[12] << 8 | frame[13];
  return kEthernet + (type == 0x0800 ? 20 : type == 0x86dd ? 40 : 0);
}

}  // namespace

namespace {

void make_header_right(Bytes& frame, const DissectedIp& ip) {
  if (ip.family != Family::IPv4) return;
  frame[ip.start + 10] = frame[ip.start + 11] = 0;
  put_checksum(frame, ip.start + 10, sum_of_header(frame, ip));
}

void make_transport_right(Bytes& frame, const DissectedIp& ip) {
  if (ip.is_fragment) return;
  const std::size_t at = ip.transport + (ip.protocol == 6 ? 16 : ip.protocol == 17 ? 6 : 2);
  if (ip.protocol == 17) {
    frame[at] = frame[at + 1] = 0xff;  // counts as 0, and is not "none"
    auto checksum = static_cast<std::uint16_t>(~sum_of_transport(frame, ip));
    if (checksum == 0) checksum = 0xffff;
    put_checksum(frame, at, static_cast<std::uint16_t>(~checksum));
    return;
  }
  frame[at] = frame[at + 1] = 0;
  put_checksum(frame, at, sum_of_transport(frame, ip));
}

}  // namespace

void make_checksums_right(Bytes& frame) {
  auto packet = dissect(frame);
  if (const auto wrapper = dissect_wrapper(frame)) {
    make_header_right(frame, wrapper->outer);
    packet = wrapper->inner;
  }
  if (!packet) return;
  make_header_right(frame, packet->ip);
  make_transport_right(frame, packet->ip);
}

void PacketMutator::set_field(Bytes& frame) {
  // Where the fields of plain packets are: lengths, types, offsets, flags.
  static const std::vector<std::size_t> offsets{12, 14, 16, 18, 20, 22, 24, 34, 36, 38, 40,
                                                46, 48, 54, 56, 58, 60, 62, 66, 74, 76, 78};
  static const std::vector<std::uint32_t> values{
      0,      1,      4,      5,      7,      8,      19,     20,     21,     27,
      28,     40,     0x0045, 0x4500, 0x4f00, 0x6000, 0x0100, 0x1fff, 0x2000, 0x2001,
      0x3a00, 0x2c00, 0x3c00, 0x0600, 0x1100, 0x7fff, 0x8000, 0x8100, 0x86dd, 0xffff};
  const auto at = one_of(offsets);
  if (at + 2 > frame.size()) return;
  const auto value = one_in(4) ? static_cast<std::uint32_t>(frame.size() - kEthernet + below(9) - 4)
                               : one_of(values);
  if (!one_in(3)) frame[at] = static_cast<std::uint8_t>(value >> 8);
  if (!one_in(3)) frame[at + 1] = static_cast<std::uint8_t>(value);
}

void PacketMutator::change(Bytes& frame) {
  const auto place = [&] { return kAddresses + below(frame.size() - kAddresses); };
  const auto position = [&](std::size_t at) {
    return frame.begin() + static_cast<std::ptrdiff_t>(at);
  };
  switch (below(8)) {
    case 0:
      frame[place()] = static_cast<std::uint8_t>(random_());
      break;
    case 1:
      frame[place()] ^= static_cast<std::uint8_t>(1U << below(8));
      break;
    case 2:
      frame.resize(place());
      break;
    case 3:
      for (auto more = 1 + below(64); more > 0; --more) {
        frame.push_back(static_cast<std::uint8_t>(random_()));
      }
      break;
    case 4: {
      const auto from = place();
      frame.erase(position(from), position(std::min(frame.size(), from + 1 + below(16))));
      break;
    }
    case 5: {
      const Bytes more(4 * (1 + below(8)), static_cast<std::uint8_t>(random_()));
      frame.insert(position(place()), more.begin(), more.end());
      break;
    }
    default:
      set_field(frame);
  }
  if (frame.size() < kEthernet) frame.resize(kEthernet);
  frame.resize(std::clamp(frame.size(), least_size(frame), kLargest));
}

Bytes PacketMutator::mutate(Bytes frame) {
  for (auto changes = below(5); changes > 0; --changes) change(frame);
  if (one_in(2)) make_checksums_right(frame);
  return frame;
}

}  // namespace topolb::test
