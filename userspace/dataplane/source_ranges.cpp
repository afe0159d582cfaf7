// SPDX-License-Identifier: Apache-2.0
#include "dataplane/source_ranges.h"

#include <algorithm>

#include "dataplane/kernel_state.h"

namespace topolb::dataplane {
namespace {

constexpr std::uint32_t kServiceIdBits = 32;
constexpr std::uint32_t kMappedBits = 96;

std::uint32_t bits_before(Family family) {
  return kServiceIdBits + (family == Family::IPv4 ? kMappedBits : 0);
}

}  // namespace

topolb_source_range to_wire(std::uint32_t service_id, const IpPrefix& range) {
  return {.prefix_bits = bits_before(range.address.family()) + range.bits,
          .service_id = service_id,
          .address = to_wire(range.address)};
}

IpPrefix from_wire(const topolb_source_range& range) {
  const auto address = from_wire(range.address);
  return {address, static_cast<std::uint8_t>(range.prefix_bits - bits_before(address.family()))};
}

void SourceRanges::restore() {
  for (const auto& [range, value] : map_.entries()) {
    ranges_[range.service_id].push_back(from_wire(range));
  }
  for (auto& [id, ranges] : ranges_) std::sort(ranges.begin(), ranges.end());
}

Result<void> SourceRanges::add(std::uint32_t service_id, const std::vector<IpPrefix>& ranges) {
  if (ranges.empty()) return {};
  auto& present = ranges_[service_id];
  std::vector<IpPrefix> added;
  for (const auto& range : ranges) {
    const auto at = std::lower_bound(present.begin(), present.end(), range);
    if (at != present.end() && *at == range) continue;
    if (auto put = map_.put(to_wire(service_id, range), 1); !put) {
      for (const auto& undone : added) remove(service_id, undone);
      return put;
    }
    present.insert(at, range);
    added.push_back(range);
  }
  return {};
}

void SourceRanges::keep_only(std::uint32_t service_id, const std::vector<IpPrefix>& ranges) {
  const auto found = ranges_.find(service_id);
  if (found == ranges_.end()) return;
  const auto present = found->second;
  for (const auto& range : present) {
    if (std::find(ranges.begin(), ranges.end(), range) == ranges.end()) remove(service_id, range);
  }
  if (found->second.empty()) ranges_.erase(found);
}

void SourceRanges::remove(std::uint32_t service_id, const IpPrefix& range) {
  (void)map_.erase(to_wire(service_id, range));
  std::erase(ranges_[service_id], range);
}

std::uint32_t SourceRanges::in_use() const {
  std::size_t count = 0;
  for (const auto& [id, ranges] : ranges_) count += ranges.size();
  return static_cast<std::uint32_t>(count);
}

}  // namespace topolb::dataplane
