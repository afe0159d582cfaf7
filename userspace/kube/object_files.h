// SPDX-License-Identifier: Apache-2.0
// Which file each object came from, so that problems found later than in decoding name it too.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/model.h"
#include "kube/decode.h"

namespace topolb::kube {

class ObjectFiles {
 public:
  /// Remembers `object.file`, if it has one.
  void put(const DecodedObject& object);
  void remove(const ObjectId& id) { files_.erase(id); }
  /// Adds to each message the file that the problem's object came from, if that is known.
  void add_to(std::vector<core::Problem>& problems) const;

 private:
  std::map<ObjectId, std::string> files_;
};

}  // namespace topolb::kube
