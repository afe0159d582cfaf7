// SPDX-License-Identifier: Apache-2.0
#include "dataplane/service_names.h"

#include <algorithm>
#include <cstring>

namespace topolb::dataplane {
namespace {

constexpr std::size_t kMaxLabel = 63;  // of DNS; what a file says beyond that is cut off

std::string full_text(const ServiceName& name) {
  return name.key.service.namespace_name.substr(0, kMaxLabel) + '/' +
         name.key.service.name.substr(0, kMaxLabel) + '/' + name.port_name.substr(0, kMaxLabel);
}

std::string read_text(const MappedArray<topolb_service_name>& rows, std::uint32_t id) {
  std::string text;
  const auto end = std::min(id + rows[id].row_count, rows.capacity());
  for (auto row = id; row < end; ++row) {
    text.append(rows[row].text, ::strnlen(rows[row].text, TOPOLB_NAME_TEXT_LENGTH));
  }
  return text;
}

}  // namespace

std::uint32_t name_rows_for(const ServiceName& name) {
  return static_cast<std::uint32_t>((full_text(name).size() + TOPOLB_NAME_TEXT_LENGTH - 1) /
                                    TOPOLB_NAME_TEXT_LENGTH);
}

void write_name(MappedArray<topolb_service_name>& rows, std::uint32_t id, const ServiceName& name) {
  const auto text = full_text(name);
  const auto count = name_rows_for(name);
  for (auto row = id; row < id + count; ++row) {
    rows[row] = {};
    text.copy(rows[row].text, TOPOLB_NAME_TEXT_LENGTH, (row - id) * TOPOLB_NAME_TEXT_LENGTH);
  }
  topolb_service_name& head = rows[id];
  head.protocol = static_cast<std::uint8_t>(name.key.protocol);
  head.family = static_cast<std::uint8_t>(name.key.family);
  head.row_count = static_cast<std::uint8_t>(count);
  head.counter_count = static_cast<std::uint8_t>(name.counter_count);
  head.first_counter = name.first_counter;
  head.port = name.key.port;
}

void clear_name(MappedArray<topolb_service_name>& rows, std::uint32_t id) {
  const auto end = std::min(id + std::max<std::uint32_t>(rows[id].row_count, 1), rows.capacity());
  for (auto row = id; row < end; ++row) rows[row] = {};
}

std::map<std::uint32_t, ServiceName> read_names(const MappedArray<topolb_service_name>& rows) {
  std::map<std::uint32_t, ServiceName> names;
  for (std::uint32_t id = 1; id < rows.capacity(); ++id) {
    const topolb_service_name& row = rows[id];
    if (row.row_count == 0) continue;
    const auto text = read_text(rows, id);
    const auto first = std::min(text.find('/'), text.size());
    const auto last = std::max(std::min(text.rfind('/'), text.size()), first);
    const auto middle = std::min(first + 1, last);
    names.emplace_hint(
        names.end(), id,
        ServiceName{.key = {.service = {text.substr(0, first), text.substr(middle, last - middle)},
                            .port = row.port,
                            .protocol = static_cast<Protocol>(row.protocol),
                            .family = static_cast<Family>(row.family)},
                    .port_name = text.substr(std::min(last + 1, text.size())),
                    .first_counter = row.first_counter,
                    .counter_count = row.counter_count});
  }
  return names;
}

}  // namespace topolb::dataplane
