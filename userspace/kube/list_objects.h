// SPDX-License-Identifier: Apache-2.0
// The objects of a kind as they are now, read once.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "kube/api.h"
#include "kube/decode.h"

namespace topolb::kube {

struct ListScope {
  std::string namespace_name = {};  // "": all
  std::string label_selector = {};
};

/// All of them, page by page; a list that gets too old meanwhile begins anew, a few times. Blocks.
/// Errors: as call_api(); the answer is no such list. Never a part of the list.
Result<std::vector<DecodedObject>> list_objects(Api& api, Kind kind, const ListScope& scope,
                                                const std::stop_token& stop = {});

/// Whether there is any. Errors: as above.
Result<bool> any_object(Api& api, Kind kind, const ListScope& scope,
                        const std::stop_token& stop = {});

}  // namespace topolb::kube
