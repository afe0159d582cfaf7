// SPDX-License-Identifier: Apache-2.0
#include "kube/object_files.h"

#include <fmt/format.h>

namespace topolb::kube {

void ObjectFiles::put(const DecodedObject& object) {
  if (object.file.empty()) {
    files_.erase(object.id);
  } else {
    files_[object.id] = object.file;
  }
}

void ObjectFiles::add_to(std::vector<core::Problem>& problems) const {
  for (core::Problem& problem : problems) {
    for (const Kind kind : {Kind::Service, Kind::EndpointSlice, Kind::Node}) {
      if (problem.kind != to_string(kind)) continue;
      const auto found = files_.find({kind, {problem.namespace_name, problem.name}});
      if (found != files_.end()) problem.message += fmt::format(" (file {})", found->second);
    }
  }
}

}  // namespace topolb::kube
