// SPDX-License-Identifier: Apache-2.0
#include "kube/run_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "util/unique_fd.h"

namespace topolb::kube {
namespace {

constexpr int kPollMs = 50;  // how soon `stop` is seen
constexpr std::size_t kMaxOutput = 1UL << 20;

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return errno_error(errno, "create a pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::vector<std::string> merged_environment(const Program& program) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    const bool replaced = std::ranges::any_of(
        program.env, [name](const auto& variable) { return variable.first == name; });
    if (!replaced) merged.emplace_back(text);
  }
  for (const auto& [name, value] : program.env) merged.push_back(fmt::format("{}={}", name, value));
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  list.reserve(texts.size() + 1);
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

/// A child process: waited for, and killed with all that it has started, if nobody has done so.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    kill(-pid_, SIGKILL);
    wait();
  }
  /// Its status, as of waitpid.
  int wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_;
};

/// A process group of its own, and no signal blocked as they are in the agent's threads.
void set_attributes(posix_spawnattr_t& attributes) {
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
}

Result<pid_t> spawn(const Program& program, const Pipe& output, const Pipe& errors) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output.write_end.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors.write_end.get(), STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  set_attributes(attributes);
  std::vector<std::string> arguments = program.argv;
  std::vector<std::string> environment = merged_environment(program);
  pid_t pid = -1;
  const int code = posix_spawnp(&pid, program.argv.front().c_str(), &actions, &attributes,
                                pointers(arguments).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (code != 0) return errno_error(code, "run " + program.argv.front());
  return pid;
}

/// False at the end of the stream.
bool read_some(int fd, std::string& ret_text) {
  std::array<char, 4096> buffer;
  const ssize_t count = read(fd, buffer.data(), buffer.size());
  if (count > 0) ret_text.append(buffer.data(), static_cast<std::size_t>(count));
  return count > 0 || (count < 0 && errno == EINTR);
}

/// Until both streams have ended.
Result<void> collect(const Program& program, int output, int errors, std::string& ret_output,
                     std::string& ret_errors, const std::stop_token& stop) {
  const auto deadline = std::chrono::steady_clock::now() + program.timeout;
  std::array<pollfd, 2> fds{{{output, POLLIN, 0}, {errors, POLLIN, 0}}};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    if (stop.stop_requested()) {
      return Error{std::make_error_code(std::errc::operation_canceled), program.argv.front()};
    }
    if (std::chrono::steady_clock::now() >= deadline || ret_output.size() > kMaxOutput) {
      return Error{std::make_error_code(std::errc::timed_out), "run " + program.argv.front()};
    }
    if (poll(fds.data(), fds.size(), kPollMs) <= 0) continue;
    if (fds[0].revents != 0 && !read_some(output, ret_output)) fds[0].fd = -1;
    if (fds[1].revents != 0 && !read_some(errors, ret_errors)) fds[1].fd = -1;
  }
  return {};
}

std::string last_line(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  return std::string(text.substr(text.rfind('\n') + 1));
}

}  // namespace

Result<std::string> run_program(const Program& program, const std::stop_token& stop) {
  auto output = make_pipe();
  if (!output) return output.error();
  auto errors = make_pipe();
  if (!errors) return errors.error();
  const auto pid = spawn(program, *output, *errors);
  if (!pid) return pid.error();
  Child child(*pid);
  output->write_end.reset();
  errors->write_end.reset();
  std::string text;
  std::string error_text;
  if (auto collected =
          collect(program, output->read_end.get(), errors->read_end.get(), text, error_text, stop);
      !collected) {
    return collected.error();
  }
  const int status = child.wait();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return text;
  const std::string how = WIFEXITED(status) ? fmt::format("exit code {}", WEXITSTATUS(status))
                                            : fmt::format("signal {}", WTERMSIG(status));
  return make_error(
      fmt::format("run {}: {}: {}", program.argv.front(), how, last_line(error_text)));
}

}  // namespace topolb::kube
