// SPDX-License-Identifier: Apache-2.0
// kubeconfig files: clusters, users, contexts. Source: client-go's v1.Config and its loading rules
// (a file's relative paths begin at its directory; *-data wins over the file; tokenFile over
// token).
#pragma once

#include <string>
#include <string_view>

#include "kube/cluster_config.h"

namespace topolb::kube {

/// `file`: the name for messages and for relative paths. `context`: "" for current-context.
/// Pure. Errors: one line with the file and the field. What is not supported is an error, not
/// ignored: auth-provider, username and password, interactiveMode Always, impersonation.
Result<ClusterConfig> parse_kubeconfig(std::string_view text, const std::string& file,
                                       const std::string& context);

/// Reads `file` and parses it.
Result<ClusterConfig> load_kubeconfig(const std::string& file, const std::string& context);

}  // namespace topolb::kube
