// SPDX-License-Identifier: Apache-2.0
#include "dataplane/backend_table.h"

#include <arpa/inet.h>

#include <array>
#include <atomic>
#include <cstring>
#include <utility>

#include "dataplane/kernel_state.h"

namespace topolb::dataplane {
namespace {

// What identifies a backend: address, port and protocol, the first bytes of a row.
struct Identity {
  std::array<std::uint64_t, 2> address;
  std::uint32_t port_and_protocol;
  bool operator==(const Identity&) const = default;
};

Identity identity_of(const topolb_backend& row) {
  Identity identity{};
  std::memcpy(&identity.address, &row.address, sizeof(identity.address));
  identity.port_and_protocol = std::uint32_t{row.port_be} << 8U | row.protocol;
  return identity;
}

std::size_t hash_of(const topolb_backend& row) {
  const auto mix = [](std::uint64_t value) {
    value *= 0xd6e8feb86659fd93ULL;
    return value ^ value >> 32U;
  };
  const Identity identity = identity_of(row);
  return mix(mix(mix(identity.address[0]) ^ identity.address[1]) ^ identity.port_and_protocol);
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
    : rows_(rows), ports_(ports), ids_(rows.capacity()), references_(rows.capacity()) {}

std::optional<std::uint32_t> BackendTable::acquire(const SocketAddress& address, Protocol protocol,
                                                   std::uint32_t flags, std::uint32_t near) {
  const topolb_backend wanted = usable_row(address, protocol, flags);
  if (const auto known = find(wanted)) {
    store_flags(*known, flags);
    add_reference(*known);
    last_ = *known;
    return known;
  }
  const auto id = ids_.allocate_near(near);
  if (!id) return std::nullopt;
  topolb_add_port(&ports_, address.port);
  rows_[*id] = wanted;
  add_reference(*id);
  index_.insert(hash_of(wanted), *id);
  last_ = *id;
  return id;
}

std::optional<std::uint32_t> BackendTable::acquire_known(const SocketAddress& address,
                                                         Protocol protocol) {
  const auto id = find(usable_row(address, protocol, 0));
  if (!id) return std::nullopt;
  store_flags(*id, rows_[*id].flags & ~std::uint32_t{TOPOLB_BACKEND_GONE});
  add_reference(*id);
  last_ = *id;
  return id;
}

void BackendTable::add_reference(std::uint32_t id) {
  if (references_[id]++ == 0) ++live_;
}

std::optional<std::uint32_t> BackendTable::find(const topolb_backend& wanted) const {
  const Identity identity = identity_of(wanted);
  const auto is_it = [&](std::uint32_t id) { return identity_of(rows_[id]) == identity; };
  // The backends of a Service got their ids one after the other, where there was room, and are
  // asked for in that order: the next row is mostly it. The index would say the same: it has every
  // row in use, a backend has one row, and a free one has no protocol.
  const std::uint32_t next = last_ + 1;
  if (next < rows_.capacity() && is_it(next)) return next;
  return index_.find(hash_of(wanted), is_it);
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
    return id && references_[*id] > 0;
  });
  return gone;
}

// Programs read this word while we store it; nobody else writes it. Nearly always it is as it was:
// then the line stays in the caches of all CPUs.
void BackendTable::store_flags(std::uint32_t id, std::uint32_t flags) {
  std::uint32_t& known = rows_[id].flags;
  if (known != flags) std::atomic_ref(known).store(flags, std::memory_order_relaxed);
}

bool BackendTable::restore(std::uint32_t id) {
  if (id == 0 || id >= rows_.capacity() || rows_[id].state == TOPOLB_BACKEND_FREE) return false;
  if (references_[id] == 0) {
    ids_.take(id);
    index_.insert(hash_of(rows_[id]), id);
  }
  add_reference(id);
  return true;
}

void BackendTable::reclaim() {
  for (const auto id : std::exchange(retired_, {})) {
    if (references_[id] > 0 || rows_[id].state == TOPOLB_BACKEND_FREE)
      continue;  // came back; twice
    index_.erase(hash_of(rows_[id]), id);
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

}  // namespace topolb::dataplane
