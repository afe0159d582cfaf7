// SPDX-License-Identifier: Apache-2.0
#include "dataplane/frontend_table.h"

#include <arpa/inet.h>

#include <algorithm>
#include <atomic>

#include "dataplane/kernel_state.h"
#include "maps/constants.h"

namespace topolb::dataplane {
namespace {

// The protocol of a row that is free, but does not end a search as one never used does.
constexpr std::uint8_t kGivenUp = 255;
// Of a line: whether it was ever used says whether a search goes on.
constexpr std::uint32_t kLastRow = TOPOLB_FRONTENDS_PER_LINE - 1;

bool is_row_of(const topolb_frontend_row& row, const topolb_frontend& frontend) {
  return row.port_be == frontend.port_be && row.protocol == frontend.protocol &&
         std::equal(std::begin(row.address.bytes), std::end(row.address.bytes),
                    std::begin(frontend.address.bytes));
}

bool is_free(const topolb_frontend_row& row) {
  return row.protocol == 0 || row.protocol == kGivenUp;
}

bool is_live(const topolb_frontend_row& row) { return row.inside_set != 0 || row.outside_set != 0; }

// BPF programs load these while we store them. The release order makes everything written before
// visible to whoever has seen the value.
template <typename Word>
void store(Word& word, Word value) {
  std::atomic_ref<Word>(word).store(value, std::memory_order_release);
}

// A row is compared by searches for other frontends while it changes hands: it has a protocol only
// while the rest of its key is whole.
void take_row(topolb_frontend_row& row, const topolb_frontend_row& wanted) {
  row.address = wanted.address;
  row.port_be = wanted.port_be;
  store(row.protocol, wanted.protocol);
}

void free_row(topolb_frontend_row& row, std::uint8_t protocol) {
  store(row.protocol, protocol);
  std::atomic_thread_fence(std::memory_order_release);
  row = {.protocol = protocol};
}

}  // namespace

std::uint32_t frontend_lines_for(std::uint32_t frontends) {
  return frontends + TOPOLB_FRONTEND_PROBES - 1;
}

std::uint32_t frontends_for(std::uint32_t lines) { return lines - (TOPOLB_FRONTEND_PROBES - 1); }

std::vector<topolb_frontend_row> live_frontends(const MappedArray<topolb_frontend_line>& lines) {
  std::vector<topolb_frontend_row> live;
  for (const auto& line : lines.rows()) {
    std::copy_if(std::begin(line.rows), std::end(line.rows), std::back_inserter(live), is_live);
  }
  return live;
}

FrontendTable::FrontendTable(MappedArray<topolb_frontend_line>& lines, topolb_settings& settings)
    : lines_(lines), settings_(settings), passed_(lines.capacity()) {}

void FrontendTable::restore() {
  for (std::uint32_t line = 0; line < lines_.capacity(); ++line) {
    for (std::uint32_t row = 0; row < TOPOLB_FRONTENDS_PER_LINE; ++row) {
      const auto& found = lines_[line].rows[row];
      if (is_free(found)) continue;
      for (auto passed = home_of(key_of(found)); passed < line; ++passed) ++passed_[passed];
      if (is_live(found)) {
        ++in_use_;
      } else {
        retired_.push_back({line, row});
      }
    }
  }
}

std::uint32_t FrontendTable::home_of(const topolb_frontend& frontend) const {
  return topolb_first_line(&frontend, settings_.frontend_seed, capacity());
}

std::uint32_t FrontendTable::near_row(const topolb_frontend& frontend, std::uint32_t rows) const {
  return topolb_near_row(home_of(frontend), topolb_rows_per_line(rows, capacity()));
}

topolb_frontend_row* FrontendTable::find(const topolb_frontend& frontend) {
  auto* row = search(frontend);
  return row != nullptr && is_live(*row) ? row : nullptr;
}

topolb_frontend_row* FrontendTable::search(const topolb_frontend& frontend) {
  const auto home = home_of(frontend);
  for (auto line = home; line < home + TOPOLB_FRONTEND_PROBES; ++line) {
    for (auto& row : lines_[line].rows) {
      if (is_row_of(row, frontend)) return &row;
    }
    if (lines_[line].rows[kLastRow].protocol == 0) return nullptr;
  }
  return nullptr;
}

bool FrontendTable::put(const topolb_frontend_row& wanted) {
  auto* row = search(key_of(wanted));  // one given up is taken back at once
  if (row == nullptr) {
    const auto home = home_of(key_of(wanted));
    const auto place = find_free(home);
    if (!place) {
      ++refused_;
      return false;
    }
    for (auto line = home; line < place->line; ++line) ++passed_[line];
    row = &at(*place);
    topolb_add_port(&settings_.frontend_ports, ntohs(wanted.port_be));
    take_row(*row, wanted);
  }
  if (!is_live(*row)) ++in_use_;
  // Read beside the old sets for a moment, they are as good: the kind is read of Services' own
  // ranges only, the id says whose affinities to look at, and those are checked.
  row->kind = wanted.kind;
  row->service_id = wanted.service_id;
  store(row->inside_set, wanted.inside_set);
  store(row->outside_set, wanted.outside_set);
  return true;
}

std::optional<FrontendTable::Place> FrontendTable::find_free(std::uint32_t home) {
  for (auto line = home; line < home + TOPOLB_FRONTEND_PROBES; ++line) {
    for (std::uint32_t row = 0; row < TOPOLB_FRONTENDS_PER_LINE; ++row) {
      if (is_free(lines_[line].rows[row])) return Place{line, row};
    }
  }
  return std::nullopt;
}

void FrontendTable::renumber_service(std::uint32_t from, std::uint32_t to) {
  for (std::uint32_t line = 0; line < lines_.capacity(); ++line) {
    for (auto& row : lines_[line].rows) {
      if (row.service_id == from) store(row.service_id, to);
    }
  }
}

void FrontendTable::retire(topolb_frontend_row& row) {
  store(row.inside_set, 0U);
  store(row.outside_set, 0U);
  const auto offset = static_cast<std::uint32_t>(&row - &lines_[0].rows[0]);
  retired_.push_back({offset / TOPOLB_FRONTENDS_PER_LINE, offset % TOPOLB_FRONTENDS_PER_LINE});
  --in_use_;
}

void FrontendTable::reclaim() {
  for (const auto& place : retired_) {
    const auto& row = at(place);
    // It may have been taken back since, or stand here twice.
    if (!is_live(row) && !is_free(row)) clear(place);
  }
  retired_.clear();
  refused_ = 0;
}

void FrontendTable::clear(Place place) {
  topolb_frontend_row& row = at(place);
  for (auto line = home_of(key_of(row)); line < place.line; ++line) {
    auto& last = lines_[line].rows[kLastRow];
    if (--passed_[line] == 0 && last.protocol == kGivenUp) store<std::uint8_t>(last.protocol, 0);
  }
  const bool is_passed = place.row == kLastRow && passed_[place.line] > 0;
  free_row(row, is_passed ? kGivenUp : 0);
}

}  // namespace topolb::dataplane
