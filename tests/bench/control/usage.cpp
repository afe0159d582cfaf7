// SPDX-License-Identifier: Apache-2.0
#include "usage.h"

#include <linux/perf_event.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>

namespace topolb::bench {
namespace {

// Threads made later are counted with the one that opens it: call it first in main().
int instruction_counter() {
  static const int fd = [] {
    perf_event_attr attributes{};
    attributes.size = sizeof(attributes);
    attributes.type = PERF_TYPE_HARDWARE;
    attributes.config = PERF_COUNT_HW_INSTRUCTIONS;
    attributes.exclude_kernel = 1;
    attributes.exclude_hv = 1;
    attributes.inherit = 1;
    return static_cast<int>(::syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
  }();
  return fd;
}

double milliseconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
}

}  // namespace

Usage Usage::now() {
  Usage usage;
  rusage counted{};
  ::getrusage(RUSAGE_SELF, &counted);
  usage.cpu_ms = milliseconds(counted.ru_utime) + milliseconds(counted.ru_stime);
  std::uint64_t instructions = 0;
  if (instruction_counter() >= 0 &&
      ::read(instruction_counter(), &instructions, sizeof(instructions)) == sizeof(instructions)) {
    usage.instructions_m = static_cast<double>(instructions) / 1e6;
  }
  usage.wall_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
          .count();
  return usage;
}

Usage Usage::operator-(const Usage& before) const {
  return {cpu_ms - before.cpu_ms, instructions_m - before.instructions_m, wall_ms - before.wall_ms};
}

Memory Memory::now() {
  Memory memory;
  std::ifstream status("/proc/self/status");
  std::string name;
  while (status >> name) {
    double kilobytes = 0;
    if (name == "VmRSS:" && status >> kilobytes) memory.resident = kilobytes * 1024 / 1e6;
    if (name == "RssAnon:" && status >> kilobytes) memory.anonymous = kilobytes * 1024 / 1e6;
    if (name == "VmHWM:" && status >> kilobytes) memory.peak = kilobytes * 1024 / 1e6;
    std::getline(status, name);
  }
  return memory;
}

}  // namespace topolb::bench
