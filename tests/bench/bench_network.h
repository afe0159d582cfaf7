// SPDX-License-Identifier: Apache-2.0
// Network namespaces of clients, each joined by a veth pair to the one of the server, to which all
// of 10.0.0.0/15 is local.
#pragma once

#include <string>

#include "util/unique_fd.h"

namespace topolb::bench {

/// A network namespace with loopback up; gone with its last descriptor and process.
UniqueFd make_network_namespace();

/// Runs a command line in a namespace; throws with its words when it fails.
void run_in(int netns, const std::string& command);

/// @param number tells the clients of one server apart, 1 to 200.
UniqueFd make_client_network(int server_netns, int number);
UniqueFd make_server_network();

/// What kube-proxy in nftables mode (Kubernetes 1.36) programs for one Service that has 10 backends
/// 10.0.0.1 to 10.0.0.10, port 8080: its chains and maps on the way of a connection from this host.
void load_kube_proxy_rules(int netns, const std::string& cluster_ip);

}  // namespace topolb::bench
