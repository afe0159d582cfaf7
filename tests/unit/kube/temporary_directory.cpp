// SPDX-License-Identifier: Apache-2.0
#include "temporary_directory.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace topolb::kube::test {

namespace fs = std::filesystem;

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (fs::temp_directory_path() / "topolb-kube-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory");
  root_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

std::string TemporaryDirectory::path(const std::string& relative) const {
  return relative.empty() ? root_.string() : (root_ / relative).string();
}

void TemporaryDirectory::write(const std::string& file, const std::string& text) const {
  fs::create_directories((root_ / file).parent_path());
  std::ofstream stream(root_ / file);
  stream << text;
  stream.close();
  if (!stream) throw std::runtime_error("cannot write " + file);
}

void TemporaryDirectory::replace(const std::string& file, const std::string& text) const {
  const fs::path hidden = fs::path(file).parent_path() / ".new";
  write(hidden.string(), text);
  rename(hidden.string(), file);
}

void TemporaryDirectory::rename(const std::string& from, const std::string& to) const {
  fs::rename(root_ / from, root_ / to);
}

void TemporaryDirectory::link(const std::string& target, const std::string& link) const {
  const fs::path hidden = fs::path(link).parent_path() / "..data_tmp";
  fs::create_symlink(target, root_ / hidden);
  rename(hidden.string(), link);
}

void TemporaryDirectory::make_directory(const std::string& directory) const {
  fs::create_directories(root_ / directory);
}

void TemporaryDirectory::remove(const std::string& file_or_directory) const {
  if (fs::remove_all(root_ / file_or_directory) == 0) {
    throw std::runtime_error("cannot remove " + file_or_directory);
  }
}

std::string service_yaml(const std::string& name, int port) {
  return fmt::format(
      "apiVersion: v1\nkind: Service\nmetadata: {{name: {}}}\n"
      "spec: {{clusterIP: 10.96.0.1, ports: [{{port: {}}}]}}\n",
      name, port);
}

}  // namespace topolb::kube::test
