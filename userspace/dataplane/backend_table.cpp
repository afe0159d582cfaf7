// SPDX-License-Identifier: Apache-2.0
#include "dataplane/backend_table.h"

#include <arpa/inet.h>

#include <cstring>
#include <string_view>

#include "dataplane/kernel_state.h"

namespace topolb::dataplane {
namespace {

// What identifies a backend: address, port and protocol are the first bytes of a row.
constexpr std::size_t kIdentityBytes = offsetof(topolb_backend, state);

std::string_view identity_of(const topolb_backend& row) {
  return {reinterpret_cast<const char*>(&row), kIdentityBytes};
}

topolb_backend usable_row(const SocketAddress& address, Protocol protocol) {
  return {.address = to_wire(address.address),
          .port_be = htons(address.port),
          .protocol = static_cast<std::uint8_t>(protocol),
          .state = TOPOLB_BACKEND_USABLE,
          .flags = 0};
}

}  // namespace

BackendTable::BackendTable(MappedArray<topolb_backend>& rows)
    : rows_(rows), ids_(rows.capacity()), references_(rows.capacity()), index_(64) {}

std::optional<std::uint32_t> BackendTable::acquire(const SocketAddress& address,
                                                   Protocol protocol) {
  const topolb_backend wanted = usable_row(address, protocol);
  for (auto bucket = bucket_of(wanted); index_[bucket] != 0;
       bucket = (bucket + 1) % index_.size()) {
    const auto id = index_[bucket];
    if (identity_of(rows_[id]) == identity_of(wanted)) {
      ++references_[id];
      return id;
    }
  }
  const auto id = ids_.allocate();
  if (!id) return std::nullopt;
  rows_[*id] = wanted;
  references_[*id] = 1;
  index(*id);
  return id;
}

void BackendTable::release(std::uint32_t id) {
  if (--references_[id] > 0) return;
  unindex(id);
  ids_.retire(id);
}

bool BackendTable::restore(std::uint32_t id) {
  if (id == 0 || id >= rows_.capacity() || rows_[id].state == TOPOLB_BACKEND_FREE) return false;
  if (references_[id]++ == 0) {
    ids_.take(id);
    index(id);
  }
  return true;
}

void BackendTable::reclaim() {
  for (const auto& [first, length] : ids_.retired()) rows_[first] = {};
  ids_.reclaim();
}

void BackendTable::drop_unreferenced() {
  for (std::uint32_t id = 0; id < rows_.capacity(); ++id) {
    if (references_[id] == 0 && rows_[id].state != TOPOLB_BACKEND_FREE) rows_[id] = {};
  }
}

std::size_t BackendTable::bucket_of(const topolb_backend& row) const {
  return std::hash<std::string_view>{}(identity_of(row)) % index_.size();
}

void BackendTable::index(std::uint32_t id) {
  if ((indexed_ + 1) * 2 > index_.size()) grow_index();
  auto bucket = bucket_of(rows_[id]);
  while (index_[bucket] != 0) bucket = (bucket + 1) % index_.size();
  index_[bucket] = id;
  ++indexed_;
}

void BackendTable::unindex(std::uint32_t id) {
  auto hole = bucket_of(rows_[id]);
  while (index_[hole] != id) hole = (hole + 1) % index_.size();
  // Backward shift: moves up what could no longer be found past the hole.
  for (auto next = (hole + 1) % index_.size(); index_[next] != 0;
       next = (next + 1) % index_.size()) {
    const auto home = bucket_of(rows_[index_[next]]);
    const auto distance_to = [&](std::size_t at) {
      return (at + index_.size() - home) % index_.size();
    };
    if (distance_to(hole) <= distance_to(next)) {
      index_[hole] = index_[next];
      hole = next;
    }
  }
  index_[hole] = 0;
  --indexed_;
}

void BackendTable::grow_index() {
  std::vector<std::uint32_t> old(index_.size() * 2);
  old.swap(index_);
  indexed_ = 0;
  for (const auto id : old) {
    if (id != 0) index(id);
  }
}

}  // namespace topolb::dataplane
