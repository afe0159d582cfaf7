// SPDX-License-Identifier: Apache-2.0
// A directory for one test, removed with all below it at the end. Paths are relative to it.
#pragma once

#include <filesystem>
#include <string>

namespace topolb::kube::test {

class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] std::string path(const std::string& relative = "") const;
  /// In place: truncates, writes and closes. Makes missing directories.
  void write(const std::string& file, const std::string& text) const;
  /// As editors and atomic writers do: a hidden file, renamed.
  void replace(const std::string& file, const std::string& text) const;
  void rename(const std::string& from, const std::string& to) const;
  /// `link` shall lead to `target`, as written; an old link is replaced in one step.
  void link(const std::string& target, const std::string& link) const;
  void make_directory(const std::string& directory) const;
  void remove(const std::string& file_or_directory) const;

 private:
  std::filesystem::path root_;
};

/// Manifests of a Service that is served; `port` tells versions apart.
std::string service_yaml(const std::string& name, int port = 80);

}  // namespace topolb::kube::test
