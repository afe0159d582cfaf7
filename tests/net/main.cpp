// SPDX-License-Identifier: Apache-2.0
// Runs the tests of this directory so that nothing is left behind, even when they crash: pins lie
// in a bpffs that ends with this process, and a janitor removes cgroups and files.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "dataplane/pins.h"
#include "process.h"

namespace topolb::test {
namespace {

namespace fs = std::filesystem;

bool enter_private_mounts() {
  if (::unshare(CLONE_NEWNS) == 0 &&
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
      ::mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0700") == 0) {
    return true;
  }
  std::perror("mount a bpffs of our own (needs root)");
  return false;
}

std::vector<fs::path> entries_of(const std::string& directory, const std::string& prefix) {
  std::vector<fs::path> found;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(directory, failed)) {
    if (entry.path().filename().string().starts_with(prefix)) found.push_back(entry.path());
  }
  return found;
}

// What the sandboxes and fixtures of a process are called.
void remove_leavings(pid_t of) {
  const auto prefix = fmt::format("topolb-test-{}-", of);
  std::error_code failed;
  for (const auto& directory : entries_of(fs::temp_directory_path(), prefix)) {
    fs::remove_all(directory, failed);
  }
  const auto cgroups = dataplane::find_cgroup2();
  if (!cgroups) return;
  for (const auto& cgroup : entries_of(*cgroups, prefix)) {
    std::ofstream(cgroup / "cgroup.kill") << 1;
    (void)wait_until([&] { return ::rmdir(cgroup.c_str()) == 0 || errno == ENOENT; });
  }
}

// A process that waits for the end of this one.
void start_janitor() {
  std::array<int, 2> alive{};
  if (::pipe2(alive.data(), O_CLOEXEC) != 0) return;
  const pid_t parent = ::getpid();
  if (::fork() != 0) {
    ::close(alive[0]);
    return;  // the other end closes when we end, however we do
  }
  ::close(alive[1]);
  ::setsid();  // whoever kills the test's process group shall not reach it
  const int null = ::open("/dev/null", O_RDWR);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, fd);
  char byte = 0;
  while (::read(alive[0], &byte, 1) < 0 && errno == EINTR) {
  }
  remove_leavings(parent);
  ::_exit(0);
}

}  // namespace
}  // namespace topolb::test

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (!topolb::test::enter_private_mounts()) return 1;
  topolb::test::start_janitor();
  return RUN_ALL_TESTS();
}
