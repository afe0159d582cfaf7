// SPDX-License-Identifier: Apache-2.0
// The objects of a kind as they are now, read once.
#pragma once

#include <cstddef>
#include <stop_token>
#include <string>
#include <vector>

#include "kube/api.h"
#include "kube/decode.h"

namespace topolb::kube {

struct ListScope {
  std::string namespace_name = {};  // "": all
  std::string label_selector = {};
  std::size_t at_most = 0;  // the first ones only; 0: all
  Deadlines deadlines = {};
};

struct ObjectList {
  std::vector<DecodedObject> objects;
  std::vector<core::Problem> problems;  // of objects that have no usable identity
};

/// All of them, or the first ones, page by page; a list that gets too old meanwhile begins anew, a
/// few times. Blocks. Errors: as call_api(); the answer is no such list. Never less of the list
/// than asked for.
Result<ObjectList> list_objects(Api& api, Kind kind, const ListScope& scope,
                                const std::stop_token& stop = {});

/// Whether there is any. Errors: as above.
Result<bool> any_object(Api& api, Kind kind, ListScope scope, const std::stop_token& stop = {});

}  // namespace topolb::kube
