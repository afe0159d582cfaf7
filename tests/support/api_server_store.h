// SPDX-License-Identifier: Apache-2.0
// The objects of the test API server, with one counter of resourceVersions and the events that
// led here, until they are compacted. Thread-safe.
#pragma once

#include <cpprest/json.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace topolb::test {

/// labelSelector (`key`, `!key`, `key=value`) and fieldSelector (metadata.name=X and !=X, only).
struct Selector {
  std::string labels;
  std::string fields;
  std::string name_space = {};  // "": all
  [[nodiscard]] bool matches(const web::json::value& object) const;
};

struct StoredEvent {
  std::uint64_t version = 0;
  std::string kind;
  std::string type;  // ADDED, MODIFIED, DELETED
  web::json::value object;
  web::json::value before;  // null for ADDED
};

class ApiServerStore {
 public:
  struct Snapshot {
    std::uint64_t version = 0;
    std::vector<web::json::value> objects;  // by namespace and name
  };
  struct Events {
    bool compacted = false;     // some after the version asked for are gone
    std::uint64_t version = 0;  // these are all up to this one
    std::vector<StoredEvent> events;
  };

  /// Creates or replaces; kind, namespace and name are the object's own. Returns its version.
  std::uint64_t put(web::json::value object);
  std::uint64_t remove(const std::string& kind, const std::string& name_space,
                       const std::string& name);
  /// `change` makes the next object of the one stored (null: there is none), with nothing in
  /// between; none: it stays. Returns the object as stored then.
  using Change = std::function<std::optional<web::json::value>(const web::json::value& stored)>;
  std::optional<web::json::value> change(const std::string& kind, const std::string& name_space,
                                         const std::string& name, const Change& change);
  /// Forgets all events up to now.
  void compact();
  /// Forgets everything, and counts from 1 again: another etcd.
  void reset();

  [[nodiscard]] std::optional<web::json::value> get(const std::string& kind,
                                                    const std::string& name_space,
                                                    const std::string& name) const;
  [[nodiscard]] Snapshot list(const std::string& kind, const Selector& selector) const;
  /// Those of `kind` after `version`. Waits up to `wait` for the first one.
  Events events_after(const std::string& kind, std::uint64_t version,
                      std::chrono::milliseconds wait);
  [[nodiscard]] std::uint64_t version() const;
  /// Ends the waits of events_after.
  void wake();

 private:
  using Key = std::pair<std::string, std::string>;
  void record(StoredEvent event);
  const web::json::value& store(const std::string& kind, const Key& key, web::json::value object);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t version_ = 1;
  std::uint64_t compacted_ = 0;
  std::map<std::string, std::map<Key, web::json::value>> objects_;
  std::vector<StoredEvent> events_;
};

}  // namespace topolb::test
