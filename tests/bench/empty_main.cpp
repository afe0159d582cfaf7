// SPDX-License-Identifier: Apache-2.0
// empty_programs CGROUP DEVICE PIN_PATH: says "ready" and keeps them attached until stdin ends.
#include <cstdio>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>

#include "empty_programs.h"

int main(int argc, char** argv) {
  try {
    if (argc != 4) throw std::invalid_argument("usage: empty_programs CGROUP DEVICE PIN_PATH");
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
