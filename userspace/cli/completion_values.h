// SPDX-License-Identifier: Apache-2.0
// The names that a completion offers: what is cheap to find out, and quick or not at all. What
// cannot be read offers nothing: nobody wants an error at a TAB.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace topolb::cli {

/// NAMESPACE/NAME of the Services that the command can mean: in the kernel, in --manifests, or in
/// the cluster; those of a namespace once `prefix` names it.
std::vector<std::string> service_names(const Command& command, const Options& options,
                                       const std::string& prefix);
std::vector<std::string> node_names(const Options& options);
/// The keys of Node labels, the usual ones first, then `*`.
std::vector<std::string> label_keys(const Options& options);
/// The contexts of the kubeconfig.
std::vector<std::string> kube_contexts(const Options& options);

}  // namespace topolb::cli
