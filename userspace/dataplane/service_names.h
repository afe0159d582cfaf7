// SPDX-License-Identifier: Apache-2.0
// The service_names array: who a service id is. For people, and for an agent that takes over.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/plan.h"
#include "dataplane/bpf_map.h"
#include "maps/layout.h"

namespace topolb::dataplane {

struct ServiceName {
  core::ServicePortKey key;
  std::string port_name;
  std::uint32_t first_counter = 0;
  std::uint32_t counter_count = 0;
};

/// How many rows a name takes: 1 to TOPOLB_MAX_NAME_ROWS.
std::uint32_t name_rows_for(const ServiceName& name);
/// @pre the rows from `id` on are the name's own.
void write_name(MappedArray<topolb_service_name>& rows, std::uint32_t id, const ServiceName& name);
void clear_name(MappedArray<topolb_service_name>& rows, std::uint32_t id);
/// Every name, by id.
std::map<std::uint32_t, ServiceName> read_names(const MappedArray<topolb_service_name>& rows);

}  // namespace topolb::dataplane
