// SPDX-License-Identifier: Apache-2.0
// The objects of one kind that an API server has told of, by identity and version: what turns
// lists and events, repeated or stale as they may be, into changes. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "kube/decode.h"

namespace topolb::kube {

/// A change for whoever keeps the objects.
struct Put {
  DecodedObject object;
};
struct Remove {
  ObjectId id;
};
/// The object could not be read (an unknown version): what was known of it stays, with these
/// problems. An empty name: the problems of objects without an identity, all there are.
struct Keep {
  ObjectId id;
  std::vector<core::Problem> problems;
};
/// Every change of this kind's complete list came before this one.
struct Synced {
  Kind kind = Kind::Service;
  std::string field_selector;  // of the list
};
using Change = std::variant<Put, Remove, Keep, Synced>;

class KnownObjects {
 public:
  /// A complete list is the truth: the differences to what was known, removals last. An object of
  /// the same version as before is no difference.
  std::vector<Change> replace(std::vector<DecodedObject> list);

  /// A watch's event. None: older than what is known of the object, so a repetition.
  std::optional<Change> put(DecodedObject object);
  /// `resource_version` of the deletion. None: not known, or the object is newer than that.
  std::optional<Change> remove(const ObjectId& id, const std::string& resource_version);
  /// Every event up to this version has been sent.
  void bookmark(const std::string& resource_version);

  [[nodiscard]] std::size_t size() const;

 private:
  struct Entry {
    std::string resource_version;
    bool removed = false;  // kept until the next bookmark, against stale events
  };
  [[nodiscard]] bool is_stale(const ObjectId& id, const std::string& resource_version) const;

  std::map<ObjectId, Entry> entries_;
  std::string bookmark_;
};

}  // namespace topolb::kube
