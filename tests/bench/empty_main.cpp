// SPDX-License-Identifier: Apache-2.0
// empty_programs CGROUP DEVICE PIN_PATH: says "ready" and keeps them attached until stdin ends.
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>

#include "empty_programs.h"

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: empty_programs CGROUP DEVICE PIN_PATH\n");
    return 2;
  }
  try {
    const topolb::bench::EmptyPrograms programs(argv[1]);
    topolb::bench::EmptyPrograms::attach_to_device(argv[2], argv[3]);
    std::cout << "ready" << std::endl;
    for (std::string line; std::getline(std::cin, line);) {
    }
    return 0;
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "empty_programs: %s\n", failed.what());
    return 1;
  }
}
