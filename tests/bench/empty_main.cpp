// SPDX-License-Identifier: Apache-2.0
// empty_programs CGROUP DEVICE PIN_PATH [least]: says "ready" and keeps them attached until stdin
// ends; `least`: those of least_programs.bpf.c in place of some.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstdio>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>

#include "empty_programs.h"
#include "least_programs.skel.h"

namespace {

using LeastPrograms = std::unique_ptr<least_programs, decltype(&least_programs::destroy)>;

LeastPrograms load_least() {
  LeastPrograms loaded(least_programs::open_and_load(), &least_programs::destroy);
  if (!loaded) throw std::runtime_error("load the least programs");
  return loaded;
}

std::map<std::string, int> by_hook(const least_programs& loaded) {
  std::map<std::string, int> programs;
  for (const auto* program : {loaded.progs.connect4, loaded.progs.sendmsg4,
                              loaded.progs.getpeername4, loaded.progs.recvmsg4}) {
    programs[bpf_program__name(program)] = bpf_program__fd(program);
  }
  return programs;
}

}  // namespace

int main(int argc, char** argv) {
  const bool is_least = argc == 5 && std::string(argv[4]) == "least";
  if (argc != 4 && !is_least) {
    std::fprintf(stderr, "usage: empty_programs CGROUP DEVICE PIN_PATH [least]\n");
    return 2;
  }
  try {
    const LeastPrograms least = is_least ? load_least() : LeastPrograms(nullptr, nullptr);
    const topolb::bench::EmptyPrograms programs(
        argv[1], is_least ? by_hook(*least) : std::map<std::string, int>{});
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
