// SPDX-License-Identifier: Apache-2.0
// Where the programs cannot work: exactly one line on stderr that says why, and the exit code: 2
// for wrong flags and unreadable directories, else 1. Source: issue "The main job", Must show 6;
// design.md 4.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <fstream>

#include "agent_fixture.h"
#include "dataplane/pins.h"

namespace topolb::test {
namespace {

using ::testing::HasSubstr;

bool become_nobody() {
  constexpr uid_t kNobody = 65534;
  return ::setgroups(0, nullptr) == 0 && ::setgid(kNobody) == 0 && ::setuid(kNobody) == 0;
}

bool unmount_cgroup2() {
  if (::unshare(CLONE_NEWNS) != 0) return false;
  for (auto path = dataplane::find_cgroup2(); path; path = dataplane::find_cgroup2()) {
    if (::umount2(path->c_str(), MNT_DETACH) != 0) return false;
  }
  return true;
}

/// bpf() fails with `error`, as where the kernel lacks it or something forbids it.
bool forbid_bpf(std::uint32_t error) {
  std::array<sock_filter, 4> code{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_bpf, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog program{code.size(), code.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

class Refusals : public AgentTest {
 protected:
  Refusals() {
    write("web.yaml", web_text("web", "10.96.0.1", "10.1.0.1"));
    // For whoever is not root.
    std::filesystem::permissions(path().parent_path(), std::filesystem::perms(0755));
  }

  static void expect_refusal(const Outcome& outcome, int exit_code, const std::string& program,
                             const Words& words) {
    EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    const auto lines = lines_of(outcome.err);
    ASSERT_EQ(lines.size(), 1U) << outcome.err;
    EXPECT_EQ(lines.front().rfind(program + ": ", 0), 0U) << outcome.err;
    for (const auto& part : words) EXPECT_THAT(lines.front(), HasSubstr(part));
  }

  void expect_agent_refusal(const Process::Preparation& prepare, const Words& words) const {
    expect_refusal(run_to_end(agent_command(), prepare), 1, "topolbd", words);
    EXPECT_FALSE(std::filesystem::exists(sandbox_.pin_path() + "/settings"));
  }
};

TEST_F(Refusals, NoRoot) {
  expect_agent_refusal(become_nobody, {"needs root"});
  start_agent();
  for (const Words& words : {Words{"service", "list"}, Words{"status"}, Words{"map", "list"},
                             Words{"backend", "list"}, Words{"cleanup"}}) {
    auto command = words;
    command.insert(command.end(), {"--pin-path", sandbox_.pin_path()});
    expect_refusal(cli(command, become_nobody), 2, "topolb", {sandbox_.pin_path()});  // docs/cli.md
  }
}

// plan, check and explain need no root (design.md 4).
TEST_F(Refusals, NoRootIsNeededForWhatOnlyReadsObjects) {
  EXPECT_EQ(cli({"plan", "--manifests", path(), "--node", "n1"}, become_nobody).exit_code, 0);
  EXPECT_EQ(cli({"check", "--manifests", path()}, become_nobody).exit_code, 0);
  EXPECT_EQ(cli({"explain", "default/web", "--manifests", path(), "--node", "n1"}, become_nobody)
                .exit_code,
            0);
  EXPECT_EQ(cli({"version"}, become_nobody).exit_code, 0);
}

TEST_F(Refusals, NoCgroup2) {
  const Words command{topolbd_path(), "--node",           "n1", "--manifests", path(),
                      "--pin-path",   sandbox_.pin_path()};
  expect_refusal(run_to_end(command, unmount_cgroup2), 1, "topolbd", {"no cgroup2 is mounted"});
}

TEST_F(Refusals, NoBpf) {
  expect_agent_refusal([] { return forbid_bpf(ENOSYS); }, {"this kernel has no BPF"});
  expect_agent_refusal([] { return forbid_bpf(EPERM); }, {"use BPF", "CAP_BPF"});
}

TEST_F(Refusals, UnreadableDirectories) {
  const std::string file = path("web.yaml");
  const std::string missing = path("missing");
  for (const auto& [directory, why] :
       {std::pair{missing, "No such file or directory"}, std::pair{file, "Not a directory"}}) {
    expect_refusal(run_to_end({topolbd_path(), "--node", "n1", "--manifests", directory,
                               "--pin-path", sandbox_.pin_path()}),
                   2, "topolbd", {directory, why});
    expect_refusal(cli({"plan", "--node", "n1", "--manifests", directory}), 2, "topolb",
                   {directory, why});
    expect_refusal(cli({"check", "--manifests", directory}), 2, "topolb", {directory, why});
  }
  std::filesystem::create_directory(path("locked"));
  std::filesystem::permissions(path("locked"), std::filesystem::perms::none);
  expect_refusal(cli({"plan", "--node", "n1", "--manifests", path("locked")}, become_nobody), 2,
                 "topolb", {path("locked"), "Permission denied"});
}

// The agent goes on when a directory cannot be read later, with what it last read.
TEST_F(Refusals, TheDirectoryVanishesLater) {
  serve("10.1.0.1:8080");
  start_agent();
  const auto away = path().string() + "-away";
  std::filesystem::rename(path(), away);
  EXPECT_TRUE(agent().wait_for("File .: Unreadable: read directory: No such file or directory"));
  EXPECT_EQ(dial_tcp("10.96.0.1:80").backend, "10.1.0.1:8080");
  std::filesystem::rename(away, path());
  EXPECT_TRUE(agent().wait_for("File .: Unreadable: solved"));
  EXPECT_EQ(dial_tcp("10.96.0.1:80").backend, "10.1.0.1:8080");
}

TEST_F(Refusals, WrongFlags) {
  const std::string manifests = path();
  const std::vector<std::pair<Words, std::string>> cases{
      {{}, "--node"},
      {{"--node", ""}, "--node must not be empty"},
      {{"--node", "n1", "--manifests"}, "--manifests"},
      {{"--node", "n1", "--manifests", manifests, "--kubeconfig", "x"}, "--kubeconfig"},
      {{"--node", "n1", "--manifests", manifests, "--scope", "some"}, "some"},
      {{"--node", "n1", "--manifests", manifests, "--listen", "here"}, "--listen"},
      {{"--node", "n1", "--manifests", manifests, "--listen", "127.0.0.1:70000"}, "70000"},
      {{"--node", "n1", "--manifests", manifests, "--max-backends", "many"}, "many"},
      {{"--node", "n1", "--manifests", manifests, "--max-backends", "0"}, "--max-backends"},
      {{"--node", "n1", "--manifests", manifests, "--nonsense"}, "--nonsense"},
      {{"--node", "n1", "--manifests", manifests, "extra"}, "extra"},
      {{"--node", "n1", "--kubeconfig", "/nowhere"}, "/nowhere"},
  };
  for (const auto& [flags, word] : cases) {
    Words command{topolbd_path()};
    command.insert(command.end(), flags.begin(), flags.end());
    SCOPED_TRACE(::testing::PrintToString(flags));
    expect_refusal(run_to_end(command), 2, "topolbd", {word});
  }
}

TEST_F(Refusals, WrongPlaces) {
  const auto with = [&](const char* flag, const std::string& value) {
    Words command{topolbd_path(), "--node", "n1", "--manifests", path(), flag, value};
    for (const auto& [other, place] :
         {std::pair{"--cgroup", sandbox_.cgroup()}, std::pair{"--pin-path", sandbox_.pin_path()}}) {
      if (std::string(other) != flag) command.insert(command.end(), {other, place});
    }
    return run_to_end(command);
  };
  expect_refusal(with("--cgroup", "/nowhere"), 1, "topolbd", {"/nowhere"});
  expect_refusal(with("--cgroup", "/tmp"), 1, "topolbd", {"--cgroup /tmp is not in a cgroup2"});
  expect_refusal(with("--pin-path", "/tmp"), 1, "topolbd", {"--pin-path /tmp is not on a bpffs"});
  const Server taken("127.0.0.1:10300", Protocol::TCP);
  expect_refusal(with("--listen", "127.0.0.1:10300"), 1, "topolbd",
                 {"--listen 127.0.0.1:10300: Address already in use"});
  expect_refusal(with("--listen", "192.0.2.77:10300"), 1, "topolbd",
                 {"--listen 192.0.2.77:10300: Cannot assign requested address"});
  // Nothing was left behind that would hold up a right one.
  start_agent();
}

}  // namespace
}  // namespace topolb::test
