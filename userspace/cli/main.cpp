// SPDX-License-Identifier: Apache-2.0
#include <exception>
#include <iostream>

#include "cli/run.h"

int main(int argc, char** argv) {
  try {
    return topolb::cli::run(argc, argv, std::cout, std::cerr);
  } catch (const std::exception& error) {
    std::cerr << "topolb: " << error.what() << '\n';
    return 1;
  }
}
