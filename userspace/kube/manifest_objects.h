// SPDX-License-Identifier: Apache-2.0
// Which object counts when several files hold one of the same identity, and what a change of
// files comes to for the objects. Pure state: no I/O. Not thread-safe: one owner.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/model.h"
#include "kube/decode.h"

namespace topolb::kube {

class ManifestObjects {
 public:
  /// What a file now holds, in its order; replaces what it held. Empty: the file is gone.
  void set_file(const std::string& path, std::vector<DecodedObject> objects);

  [[nodiscard]] bool holds(const std::string& path) const { return ids_of_file_.contains(path); }

  struct Changes {
    std::vector<DecodedObject> put;  // sorted by id: new, different or in another file
    std::vector<ObjectId> removed;   // sorted
  };
  /// What the set_file() calls since the last call come to. Of an identity in several files, the
  /// object of the first file in the order of paths counts; in one file, the first one.
  Changes take_changes();

  /// A DuplicateObject for each object that does not count, naming both files; sorted.
  [[nodiscard]] std::vector<core::Problem> duplicates() const;

 private:
  using Object = std::shared_ptr<const DecodedObject>;
  struct Holder {
    std::string path;
    Object object;
  };
  struct Entry {
    std::vector<Holder> holders;  // by path, then by place in the file
    Object reported;              // null: nothing yet
  };

  std::map<std::string, std::set<ObjectId>> ids_of_file_;
  std::map<ObjectId, Entry> entries_;
  std::set<ObjectId> touched_;
  std::set<ObjectId> duplicated_;
};

}  // namespace topolb::kube
