// SPDX-License-Identifier: Apache-2.0
// Where objects come from: a directory of manifests or the Kubernetes API. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/model.h"
#include "kube/api.h"
#include "kube/decode.h"
#include "util/result.h"

namespace topolb::agent {

/// A batch of changes.
struct ObjectChanges {
  std::vector<kube::DecodedObject> put;
  std::vector<kube::ObjectId> removed;
  std::vector<core::Problem> source_problems;  // all there are now: files that don't parse, ...
};

/// How long ago the source was last heard of, for one kind of object.
struct SourceAge {
  std::string kind;
  std::optional<double> seconds;  // none: never yet
  std::string error;              // of the last try; "": it went well
};

class Source {
 public:
  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  virtual ~Source() = default;

  /// Readable when changes() may have something.
  [[nodiscard]] virtual int fd() const = 0;
  /// What has changed since the last call (at first: everything there is up to now).
  virtual std::optional<ObjectChanges> changes() = 0;
  /// What changes() has given up to now is complete: unknown is not empty. Once true, it may become
  /// false again only by want_all_nodes().
  [[nodiscard]] virtual bool is_complete() const = 0;
  /// Labels of other nodes are needed, or not any more.
  virtual void want_all_nodes(bool wanted) = 0;
  [[nodiscard]] virtual std::vector<SourceAge> ages() const = 0;
  /// Where the objects can be written to; null: nowhere.
  [[nodiscard]] virtual std::shared_ptr<kube::Api> api() const = 0;
};

/// Error: the directory can't be read or watched.
Result<std::unique_ptr<Source>> open_manifests(const std::string& path);

struct ApiSourceOptions {
  std::string kubeconfig;            // "": in-cluster
  std::string context;               // "": the kubeconfig's current one
  std::vector<std::string> servers;  // instead of those of the credentials, in order
  std::string node_name;
  std::string service_proxy_name;
};

/// Error: credentials are missing or unreadable (the API server itself may still be away).
Result<std::unique_ptr<Source>> open_api(const ApiSourceOptions& options);

}  // namespace topolb::agent
