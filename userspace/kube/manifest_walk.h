// SPDX-License-Identifier: Apache-2.0
// Which files of a directory are manifests. A mounted ConfigMap shows each file twice: as a link
// `web.yaml -> ..data/web.yaml`, and below `..data` itself, a link that is swapped at each update.
// So names that begin with "." are not looked at, and links are followed.
#pragma once

#include <functional>
#include <string>

namespace topolb::kube {

/// Paths are relative to the root, "" being the root itself.
struct ManifestVisitor {
  std::function<void(const std::string& path)> directory;  // before its entries are read
  std::function<void(const std::string& path, bool is_link)> file;
  std::function<void(const std::string& path, int errno_value)> unreadable;  // a directory
};

/// Every manifest file below `path`, a directory of `root`, in no order; a link that leads back
/// to a directory above it is not followed.
void walk_manifests(const std::string& root, const std::string& path,
                    const ManifestVisitor& visitor);

/// "directory/name"; the one that is not empty when the other is.
std::string join_path(const std::string& directory, const std::string& name);

}  // namespace topolb::kube
