// SPDX-License-Identifier: Apache-2.0
#include "agent/source.h"

#include <chrono>

#include "kube/api_client.h"
#include "kube/cluster_source.h"
#include "kube/kubeconfig.h"
#include "kube/manifest_directory.h"
#include "kube/manifest_watcher.h"
#include "kube/transport.h"

namespace topolb::agent {
namespace {

template <typename Changes>
ObjectChanges to_object_changes(Changes&& changes) {
  return {std::move(changes.put), std::move(changes.removed), std::move(changes.problems)};
}

class ManifestSource final : public Source {
 public:
  ManifestSource(kube::ManifestWatcher watcher, kube::ManifestDirectory directory)
      : watcher_(std::move(watcher)), directory_(std::move(directory)) {}

  [[nodiscard]] int fd() const override { return watcher_.fd(); }

  std::optional<ObjectChanges> changes() override {
    const auto changed = watcher_.drain();
    if (scanned_ && changed.empty()) return std::nullopt;
    auto changes = to_object_changes(scanned_ ? directory_.scan(changed) : directory_.scan());
    scanned_ = true;
    const auto unwatched = watcher_.problems();
    changes.source_problems.insert(changes.source_problems.end(), unwatched.begin(),
                                   unwatched.end());
    return changes;
  }

  [[nodiscard]] bool is_complete() const override { return scanned_; }
  void want_all_nodes(bool) override {}  // they are all in the directory
  [[nodiscard]] std::vector<SourceAge> ages() const override { return {}; }
  [[nodiscard]] std::shared_ptr<kube::Api> api() const override { return nullptr; }

 private:
  kube::ManifestWatcher watcher_;
  kube::ManifestDirectory directory_;
  bool scanned_ = false;
};

class ApiSource final : public Source {
 public:
  ApiSource(std::shared_ptr<kube::Api> api, std::unique_ptr<kube::ClusterSource> source)
      : api_(std::move(api)), source_(std::move(source)) {}

  [[nodiscard]] int fd() const override { return source_->fd(); }
  std::optional<ObjectChanges> changes() override { return to_object_changes(source_->drain()); }
  [[nodiscard]] bool is_complete() const override { return source_->has_synced(); }
  void want_all_nodes(bool wanted) override { source_->watch_all_nodes(wanted); }

  [[nodiscard]] std::vector<SourceAge> ages() const override {
    const auto now = std::chrono::steady_clock::now();
    std::vector<SourceAge> ages;
    for (const auto& [list, status] : source_->status()) {
      SourceAge age{.kind = list.form == kube::Form::Metadata
                                ? "OtherNodes"
                                : std::string(kube::to_string(list.kind)),
                    .seconds = {},
                    .error = status.error};
      if (status.last_contact) {
        age.seconds = std::chrono::duration<double>(now - *status.last_contact).count();
      }
      ages.push_back(std::move(age));
    }
    return ages;
  }
  [[nodiscard]] std::shared_ptr<kube::Api> api() const override { return api_; }

 private:
  std::shared_ptr<kube::Api> api_;
  std::unique_ptr<kube::ClusterSource> source_;
};

}  // namespace

Result<std::unique_ptr<Source>> open_manifests(const std::string& path) {
  // The watcher first, so that nothing is missed between it and the first scan.
  auto watcher = kube::ManifestWatcher::open(path);
  if (!watcher) return watcher.error();
  auto directory = kube::ManifestDirectory::open(path);
  if (!directory) return directory.error();
  return std::unique_ptr<Source>(
      std::make_unique<ManifestSource>(std::move(*watcher), std::move(*directory)));
}

Result<std::unique_ptr<Source>> open_api(const ApiSourceOptions& options) {
  auto config = options.kubeconfig.empty()
                    ? kube::in_cluster_config(kube::process_environment())
                    : kube::load_kubeconfig(options.kubeconfig, options.context);
  if (!config) return config.error();
  if (!options.servers.empty()) config->servers = options.servers;
  auto api = std::make_shared<kube::ApiClient>(std::move(*config), kube::make_transport());
  auto source = kube::ClusterSource::start(api, {.node_name = options.node_name,
                                                 .service_proxy_name = options.service_proxy_name,
                                                 .reflector = {}});
  if (!source) return source.error();
  return std::unique_ptr<Source>(std::make_unique<ApiSource>(std::move(api), std::move(*source)));
}

}  // namespace topolb::agent
