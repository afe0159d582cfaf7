// SPDX-License-Identifier: Apache-2.0
// The live rows of the pinned maps, decoded. Private to map_decode.cpp and map_decode_services.cpp;
// kernel_tables.h has what others call.
#pragma once

#include <string>

#include "cli/kernel_tables.h"

namespace topolb::cli {

/// What a service id names; null and "-" if nothing.
RecordCell service_cell(const KernelSnapshot& kernel, std::uint32_t service_id);
/// Id 0 is none.
Json id_or_null(std::uint32_t id);
std::string backend_text(const KernelSnapshot& kernel, std::uint32_t backend_id);

Records decode_counters(const KernelSnapshot& kernel);
Records decode_service_names(const KernelSnapshot& kernel);
Records decode_sets(const KernelSnapshot& kernel);
Records decode_slots(const KernelSnapshot& kernel);
Records decode_topology_keys(const KernelSnapshot& kernel);

}  // namespace topolb::cli
