// SPDX-License-Identifier: Apache-2.0
// test-cluster KUBECONFIG: a real API server from KUBEBUILDER_ASSETS for a test in another
// language. Writes the administrator's kubeconfig, says "ready", and ends with its standard input.
#include <cstdio>
#include <exception>
#include <fstream>

#include "real_cluster.h"

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw std::runtime_error("usage: test-cluster KUBECONFIG");
    const topolb::kube::RealCluster cluster(topolb::kube::kubernetes_assets());
    std::ofstream(argv[1]) << cluster.kubeconfig();
    std::puts("ready");
    std::fflush(stdout);
    while (std::getchar() != EOF) {
    }
    return 0;
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "test-cluster: %s\n", failed.what());
    return 1;
  }
}
