// SPDX-License-Identifier: Apache-2.0
#include "dataplane/backend_table.h"

#include <arpa/inet.h>

#include <atomic>
#include <cstring>
#include <string_view>
#include <utility>

#include "dataplane/kernel_state.h"

namespace topolb::dataplane {
namespace {

// What identifies a backend: address, port and protocol are the first bytes of a row.
constexpr std::size_t kIdentityBytes = offsetof(topolb_backend, state);

std::string_view identity_of(const topolb_backend& row) {
  return {reinterpret_cast<const char*>(&row), kIdentityBytes};
}

topolb_backend usable_row(const SocketAddress& address, Protocol protocol, std::uint32_t flags) {
  return {.address = to_wire(address.address),
          .port_be = htons(address.port),
          .protocol = static_cast<std::uint8_t>(protocol),
          .state = TOPOLB_BACKEND_USABLE,
          .flags = flags};
}

}  // namespace

BackendTable::BackendTable(MappedArray<topolb_backend>& rows, topolb_port_set& ports)
    : rows_(rows), ports_(ports), ids_(rows.capacity()), references_(rows.capacity()), index_(64) {}

std::optional<std::uint32_t> BackendTable::acquire(const SocketAddress& address, Protocol protocol,
                                                   std::uint32_t flags) {
  const topolb_backend wanted = usable_row(address, protocol, flags);
  if (const auto id = find(wanted); id != 0) {
    store_flags(id, flags);
    add_reference(id);
    return id;
  }
  const auto id = ids_.allocate();
  if (!id) return std::nullopt;
  topolb_add_port(&ports_, address.port);
  rows_[*id] = wanted;
  add_reference(*id);
  index(*id);
  return id;
}

std::optional<std::uint32_t> BackendTable::acquire_known(const SocketAddress& address,
                                                         Protocol protocol) {
  const auto id = find(usable_row(address, protocol, 0));
  if (id == 0) return std::nullopt;
  store_flags(id, rows_[id].flags & ~std::uint32_t{TOPOLB_BACKEND_GONE});
  add_reference(id);
  return id;
}

void BackendTable::add_reference(std::uint32_t id) {
  if (references_[id]++ == 0) ++live_;
}

std::uint32_t BackendTable::find(const topolb_backend& wanted) const {
  auto bucket = bucket_of(wanted);
  while (index_[bucket] != 0 && identity_of(rows_[index_[bucket]]) != identity_of(wanted)) {
    bucket = (bucket + 1) % index_.size();
  }
  return index_[bucket];
}

void BackendTable::release(std::uint32_t id) {
  if (--references_[id] > 0) return;
  --live_;
  store_flags(id, rows_[id].flags | TOPOLB_BACKEND_GONE);
  retired_.push_back(id);
  if (rows_[id].protocol == static_cast<std::uint8_t>(Protocol::UDP)) {
    gone_udp_.push_back(from_wire(rows_[id]));
  }
}

std::vector<SocketAddress> BackendTable::take_gone_udp() {
  auto gone = std::exchange(gone_udp_, {});
  std::erase_if(gone, [&](const auto& backend) {
    const auto id = find(usable_row(backend, Protocol::UDP, 0));
    return id != 0 && references_[id] > 0;
  });
  return gone;
}

// Programs read this word while we store it.
void BackendTable::store_flags(std::uint32_t id, std::uint32_t flags) {
  std::atomic_ref(rows_[id].flags).store(flags, std::memory_order_relaxed);
}

bool BackendTable::restore(std::uint32_t id) {
  if (id == 0 || id >= rows_.capacity() || rows_[id].state == TOPOLB_BACKEND_FREE) return false;
  if (references_[id] == 0) {
    ids_.take(id);
    index(id);
  }
  add_reference(id);
  return true;
}

void BackendTable::reclaim() {
  for (const auto id : std::exchange(retired_, {})) {
    if (references_[id] > 0 || rows_[id].state == TOPOLB_BACKEND_FREE)
      continue;  // came back; twice
    unindex(id);
    rows_[id] = {};
    ids_.retire(id);
  }
  ids_.reclaim();
}

std::vector<std::uint32_t> BackendTable::restore_unreferenced() {
  std::vector<std::uint32_t> restored;
  for (std::uint32_t id = 0; id < rows_.capacity(); ++id) {
    if (references_[id] == 0 && restore(id)) restored.push_back(id);
  }
  return restored;
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
