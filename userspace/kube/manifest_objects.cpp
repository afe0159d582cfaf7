// SPDX-License-Identifier: Apache-2.0
#include "kube/manifest_objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace topolb::kube {
namespace {

// The version of a raw file says nothing of its content.
bool same_content(const DecodedObject& left, const DecodedObject& right) {
  return left.object == right.object && left.problems == right.problems && left.file == right.file;
}

}  // namespace

void ManifestObjects::set_file(const std::string& path, std::vector<DecodedObject> objects) {
  std::set<ObjectId>& ids = ids_of_file_[path];
  for (const ObjectId& id : ids) {
    std::erase_if(entries_[id].holders, [&](const Holder& holder) { return holder.path == path; });
    touched_.insert(id);
  }
  ids.clear();
  for (DecodedObject& object : objects) {
    const ObjectId id = object.id;
    std::vector<Holder>& holders = entries_[id].holders;
    const auto place =
        std::upper_bound(holders.begin(), holders.end(), path,
                         [](const std::string& key, const Holder& h) { return key < h.path; });
    holders.insert(place, {path, std::make_shared<const DecodedObject>(std::move(object))});
    touched_.insert(id);
    ids.insert(id);
  }
  if (ids.empty()) ids_of_file_.erase(path);
}

ManifestObjects::Changes ManifestObjects::take_changes() {
  Changes changes;
  for (const ObjectId& id : std::exchange(touched_, {})) {
    Entry& entry = entries_[id];
    if (entry.holders.size() > 1) {
      duplicated_.insert(id);
    } else {
      duplicated_.erase(id);
    }
    if (entry.holders.empty()) {
      if (entry.reported) changes.removed.push_back(id);
      entries_.erase(id);
      continue;
    }
    const Object& winner = entry.holders.front().object;
    if (!entry.reported || !same_content(*entry.reported, *winner)) changes.put.push_back(*winner);
    entry.reported = winner;
  }
  return changes;
}

std::vector<core::Problem> ManifestObjects::duplicates() const {
  std::vector<core::Problem> problems;
  for (const ObjectId& id : duplicated_) {
    const std::vector<Holder>& holders = entries_.at(id).holders;
    const std::string& winner = holders.front().path;
    for (auto holder = holders.begin() + 1; holder != holders.end(); ++holder) {
      const std::string where =
          holder->path == winner ? fmt::format("twice in file {}", winner)
                                 : fmt::format("in file {} and in file {}", winner, holder->path);
      problems.push_back({std::string(to_string(id.kind)), id.key.namespace_name, id.key.name,
                          "DuplicateObject", where + "; the first one is used"});
    }
  }
  std::sort(problems.begin(), problems.end());
  return problems;
}

}  // namespace topolb::kube
