// SPDX-License-Identifier: Apache-2.0
// kubeconfig files: clusters, users, contexts. Source: client-go's v1.Config and its loading rules
// (a file's relative paths begin at its directory; *-data wins over the file; tokenFile over
// token; of several files the first one that has an entry counts).
#pragma once

#include <string>
#include <vector>

#include "kube/cluster_config.h"

namespace topolb::kube {

struct KubeconfigText {
  std::string file;  // the name for messages and for relative paths
  std::string text;
};

/// `context`: "" for current-context. Pure. Errors: one line with the file and the field. What is
/// not supported is an error, not ignored: auth-provider, username and password, interactiveMode
/// Always, impersonation.
Result<ClusterConfig> parse_kubeconfig(const std::vector<KubeconfigText>& files,
                                       const std::string& context);

/// The names of the contexts, in order.
Result<std::vector<std::string>> context_names(const std::vector<KubeconfigText>& files);

/// Reads `file`; without one, as kubectl does, those of KUBECONFIG ("a:b") that are there, else
/// ~/.kube/config if it is there.
Result<std::vector<KubeconfigText>> read_kubeconfig(const std::string& file,
                                                    const Environment& environment);

/// Reads `file` and parses it.
Result<ClusterConfig> load_kubeconfig(const std::string& file, const std::string& context);

/// The cluster that kubectl would talk to: that of `file`, else of the usual files, else the one
/// that this is a pod of. Errors as above; or no cluster is known.
Result<ClusterConfig> find_cluster(const std::string& file, const std::string& context,
                                   const Environment& environment);

}  // namespace topolb::kube
