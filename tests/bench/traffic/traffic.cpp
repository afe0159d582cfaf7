// SPDX-License-Identifier: Apache-2.0
// A client of scripts/bench with its server, in the network namespace, cgroup and on the CPU that
// it was started in:
//   traffic LISTENER DATAGRAMS TARGETS...
// The first two are descriptors of sockets in the server's namespace.
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "traffic_client.h"

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() < 3) {
    std::fputs("traffic: needs two descriptors and files of targets; run scripts/bench\n", stderr);
    return 2;
  }
  try {
    topolb::bench::obey_orders({std::stoi(arguments[0]), std::stoi(arguments[1])},
                               {arguments.begin() + 2, arguments.end()});
    return 0;
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "traffic: %s\n", failed.what());
    return 1;
  }
}
