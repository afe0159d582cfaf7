// SPDX-License-Identifier: Apache-2.0
#include "process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

#include "util/result.h"

namespace topolb::test {
namespace {

constexpr int kNotPrepared = 125;
constexpr int kNotExecuted = 126;

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(errno_error(errno, what).message());
}

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  std::istringstream path(std::string(std::getenv("PATH")) + ":/usr/sbin:/sbin");
  for (std::string directory; std::getline(path, directory, ':');) {
    if (::access((directory + "/" + name).c_str(), X_OK) == 0) return directory + "/" + name;
  }
  return name;
}

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("make a pipe");
    read_end = UniqueFd(ends[0]);
    write_end = UniqueFd(ends[1]);
  }
};

[[noreturn]] void become(int program, std::vector<char*> arguments, int out, int err,
                         const Process::Preparation& prepare) {
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  if (prepare && !prepare()) {
    std::perror("prepare the program");
    ::_exit(kNotPrepared);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::fexecve(program, arguments.data(), environ);
  std::perror("execute the program");
  ::_exit(kNotExecuted);
}

}  // namespace

bool wait_until(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

Process::Process(const std::vector<std::string>& command, const Preparation& prepare) {
  const auto path = find_program(command.front());
  const UniqueFd program(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!program) fail("open program " + path);
  std::vector<char*> arguments;
  for (const auto& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  Pipe out;
  Pipe err;
  pid_ = ::fork();
  if (pid_ < 0) fail("fork");
  if (pid_ == 0) {
    become(program.get(), arguments, out.write_end.get(), err.write_end.get(), prepare);
  }
  pidfd_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  out_pipe_ = std::move(out.read_end);
  err_pipe_ = std::move(err.read_end);
  reader_ = std::thread([this] { read_output(); });
}

Process::~Process() {
  if (!exit_) signal(SIGKILL);
  (void)wait();
  reader_.join();
}

void Process::read_output() {
  std::array<pollfd, 2> fds{{{out_pipe_.get(), POLLIN, 0}, {err_pipe_.get(), POLLIN, 0}}};
  std::array<char, 4096> buffer{};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    if (::poll(fds.data(), fds.size(), -1) < 0) continue;
    for (auto& entry : fds) {
      if (entry.fd < 0 || entry.revents == 0) continue;
      const auto count = ::read(entry.fd, buffer.data(), buffer.size());
      const std::lock_guard lock(mutex_);
      if (count > 0) {
        (&entry == fds.data() ? out_ : err_).append(buffer.data(), static_cast<std::size_t>(count));
      } else {
        entry.fd = -1;
      }
      changed_.notify_all();
    }
  }
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

void Process::signal(int number) const { ::kill(pid_, number); }

std::optional<int> Process::wait() {
  if (exit_) return exit_;
  pollfd ended{pidfd_.get(), POLLIN, 0};
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(kDeadline);
  if (::poll(&ended, 1, static_cast<int>(milliseconds.count())) <= 0) return std::nullopt;
  int status = 0;
  if (::waitpid(pid_, &status, 0) != pid_) fail("wait for a program");
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kDeadline, [this] { return ended_; });
  exit_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return exit_;
}

std::string Process::out() const {
  const std::lock_guard lock(mutex_);
  return out_;
}

std::string Process::err() const {
  const std::lock_guard lock(mutex_);
  return err_;
}

std::vector<std::string> Process::lines(const std::string& part) const {
  auto found = lines_of(err());
  std::erase_if(found, [&](const auto& line) { return line.find(part) == std::string::npos; });
  return found;
}

bool Process::wait_for(const std::string& part) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kDeadline,
                    [&] { return ended_ || err_.find(part) != std::string::npos; });
  return err_.find(part) != std::string::npos;
}

Outcome run_to_end(const std::vector<std::string>& command, const Process::Preparation& prepare) {
  Process process(command, prepare);
  const auto exit_code = process.wait();
  return {exit_code, process.out(), process.err()};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace topolb::test
