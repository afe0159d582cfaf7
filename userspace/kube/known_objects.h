// SPDX-License-Identifier: Apache-2.0
// The objects of one kind that an API server has told of, by identity and version: what turns
// lists and events, repeated or stale as they may be, into changes. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
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
/// What is followed as one: there may be two of Nodes, of different ones.
struct ListId {
  Kind kind = Kind::Service;
  Form form = Form::Whole;
  auto operator<=>(const ListId&) const = default;
};
/// Every change of this complete list came before this one.
struct Synced {
  ListId list;
  std::optional<std::string> field_selector;  // none: of nothing
};
using Change = std::variant<Put, Remove, Keep, Synced>;

/// A resourceVersion, kept in few bytes: as a number where it is one, else told apart by its hash.
class ObjectVersion {
 public:
  ObjectVersion() = default;  // of no version
  explicit ObjectVersion(const std::string& text);
  [[nodiscard]] bool empty() const { return kind_ == Kind::None; }
  [[nodiscard]] bool is_number() const { return kind_ == Kind::Number; }
  /// Both are numbers, and this is the older one.
  [[nodiscard]] bool is_older_than(const ObjectVersion& other) const {
    return is_number() && other.is_number() && value_ < other.value_;
  }
  bool operator==(const ObjectVersion&) const = default;

 private:
  enum class Kind : std::uint8_t { None, Number, Text };
  std::uint64_t value_ = 0;
  Kind kind_ = Kind::None;
};

class KnownObjects {
 public:
  explicit KnownObjects(Kind kind) : kind_(kind) {}

  /// A complete list is the truth. Its objects may come in parts: begin_list(); is_change() of each
  /// object, once; put_listed() of those that are, at any time; end_list() when it was complete.
  /// A list that is not ends at the next begin_list().
  void begin_list();
  /// Whether it differs from what is known. An object of the same version as before does not.
  bool is_change(const DecodedObject& object);
  Change put_listed(DecodedObject object);
  /// Removals of what the list did not have.
  std::vector<Change> end_list();

  /// A watch's event. None: older than what is known of the object, so a repetition.
  std::optional<Change> put(DecodedObject object);
  /// `resource_version` of the deletion. None: not known, or the object is newer than that.
  std::optional<Change> remove(const ObjectId& id, const std::string& resource_version);
  /// Every event up to this version has been sent.
  void bookmark(const std::string& resource_version);

  [[nodiscard]] std::size_t size() const;

 private:
  struct Entry {
    ObjectVersion version;
    bool removed = false;  // kept until the next bookmark, against stale events
    bool listed = false;   // by the list under way
  };
  [[nodiscard]] Entry* find(const ObjectId& id);  // null: not known, or removed
  [[nodiscard]] bool is_stale(const ObjectId& id, const ObjectVersion& version) const;
  [[nodiscard]] ObjectId id_of(const std::string& name) const;

  Kind kind_;                                       // of all of them
  std::unordered_map<std::string, Entry> entries_;  // by "namespace/name"
  ObjectVersion bookmark_;
};

}  // namespace topolb::kube
