// SPDX-License-Identifier: Apache-2.0
// A generated cluster as a directory of manifests: a file of many documents for each namespace, and
// one for the Nodes.
#pragma once

#include <string>

#include "generated_cluster.h"

namespace topolb::bench {

void write_manifests(const ClusterSize& size, bool yaml, const std::string& directory);

}  // namespace topolb::bench
