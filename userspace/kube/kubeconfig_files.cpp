// SPDX-License-Identifier: Apache-2.0
// Which kubeconfig files there are, and which cluster they lead to.
#include <algorithm>
#include <system_error>

#include "kube/file_text.h"
#include "kube/kubeconfig.h"

namespace topolb::kube {
namespace {

/// KUBECONFIG's files, else the one in the home directory.
std::vector<std::string> usual_files(const Environment& environment) {
  std::vector<std::string> files;
  std::string list = environment("KUBECONFIG");
  if (list.empty()) {
    const std::string home = environment("HOME");
    if (!home.empty()) files.push_back(home + "/.kube/config");
    return files;
  }
  for (std::size_t begin = 0; begin <= list.size();) {
    const auto end = std::min(list.find(':', begin), list.size());
    if (end > begin) files.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return files;
}

}  // namespace

Result<std::vector<KubeconfigText>> read_kubeconfig(const std::string& file,
                                                    const Environment& environment) {
  std::vector<KubeconfigText> files;
  if (!file.empty()) {
    auto text = read_text_file(file, "kubeconfig");
    if (!text) return text.error();
    files.push_back({file, std::move(*text)});
    return files;
  }
  for (const auto& path : usual_files(environment)) {
    auto text = read_text_file(path, "kubeconfig");
    if (text) {
      files.push_back({path, std::move(*text)});
    } else if (text.error().code != std::errc::no_such_file_or_directory) {
      return text.error();
    }
  }
  return files;
}

Result<ClusterConfig> load_kubeconfig(const std::string& file, const std::string& context) {
  auto files = read_kubeconfig(file, process_environment());
  if (!files) return files.error();
  return parse_kubeconfig(*files, context);
}

Result<ClusterConfig> find_cluster(const std::string& file, const std::string& context,
                                   const Environment& environment) {
  const auto files = read_kubeconfig(file, environment);
  if (!files) return files.error();
  if (!files->empty()) return parse_kubeconfig(*files, context);
  auto config = in_cluster_config(environment);
  if (!config || !context.empty()) {
    return make_error(
        "no cluster is known: there is no --kubeconfig, no file of KUBECONFIG and no "
        "~/.kube/config, and this is no pod");
  }
  return config;
}

}  // namespace topolb::kube
