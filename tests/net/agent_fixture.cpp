// SPDX-License-Identifier: Apache-2.0
#include "agent_fixture.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace topolb::test {
namespace {

namespace fs = std::filesystem;

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) {
    throw std::runtime_error(fmt::format("{} is not set: run it by meson test", name));
  }
  return value;
}

fs::path make_directory() {
  auto name =
      (fs::temp_directory_path() / fmt::format("topolb-test-{}-XXXXXX", ::getpid())).string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory");
  return name;
}

}  // namespace

std::string topolbd_path() { return from_environment("TOPOLBD"); }
std::string topolb_path() { return from_environment("TOPOLB"); }

AgentTest::AgentTest() : directory_(make_directory()), source_{"--manifests", path()} {
  fs::create_directory(path());
}

AgentTest::~AgentTest() {
  if (agent_ && HasFailure()) std::fprintf(stderr, "the agent's log:\n%s", agent_->err().c_str());
  agent_.reset();
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

fs::path AgentTest::path(const std::string& file) const {
  return file.empty() ? directory_ / "manifests" : directory_ / "manifests" / file;
}

void AgentTest::write(const std::string& file, const std::string& text) const {
  fs::create_directories(path(file).parent_path());
  std::ofstream stream(path(file));
  stream << text << std::flush;
  if (!stream) throw std::runtime_error("cannot write " + file);
}

void AgentTest::replace(const std::string& file, const std::string& text) const {
  const auto hidden = (fs::path(file).parent_path() / ".new").string();
  write(hidden, text);
  fs::rename(path(hidden), path(file));
}

void AgentTest::remove(const std::string& file_or_directory) const {
  if (fs::remove_all(path(file_or_directory)) == 0) {
    throw std::runtime_error("cannot remove " + file_or_directory);
  }
}

Words AgentTest::agent_command(const Words& more) const {
  Words command{topolbd_path(), "--node",           "n1", "--cgroup", sandbox_.cgroup(),
                "--pin-path",   sandbox_.pin_path()};
  command.insert(command.end(), source_.begin(), source_.end());
  if (std::find(more.begin(), more.end(), "--listen") == more.end()) {
    command.insert(command.end(), {"--listen", kListen});
  }
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

void AgentTest::launch_agent(const Words& more) {
  agent_ = std::make_unique<Process>(agent_command(more), prepare_);
}

void AgentTest::start_agent(const Words& more) {
  launch_agent(more);
  ASSERT_TRUE(agent_->wait_for(" ready: ")) << agent_->err();
}

std::optional<int> AgentTest::stop_agent(int signal) {
  agent_->signal(signal);
  return agent_->wait();
}

Outcome AgentTest::cli(const Words& words, const Process::Preparation& prepare) {
  Words command{topolb_path()};
  command.insert(command.end(), words.begin(), words.end());
  return run_to_end(command, prepare);
}

Outcome AgentTest::kernel(Words words) const {
  words.insert(words.end(), {"--pin-path", sandbox_.pin_path()});
  return cli(words);
}

HttpAnswer AgentTest::get(const std::string& path) { return http_get(kListen, path); }

std::string AgentTest::metric(const std::string& series) {
  for (const auto& line : lines_of(get("/metrics").body)) {
    if (line.starts_with(series + " ")) return line.substr(series.size() + 1);
  }
  return "no " + series;
}

dataplane::KernelState AgentTest::state() const {
  const auto maps =
      dataplane::KernelMaps::open_pinned(sandbox_.pin_path(), dataplane::Access::ReadOnly);
  if (!maps) throw std::runtime_error(maps.error().message());
  return dataplane::read_kernel_state(*maps);
}

dataplane::KernelService AgentTest::kernel_service(const std::string& name) const {
  for (auto& service : state().services) {
    if (service.key.service.name == name) return service;
  }
  ADD_FAILURE() << "no Service " << name << " in the kernel";
  return {};
}

void AgentTest::serve(const std::string& address, Protocol protocol) {
  const auto host = socket_address(address).address.to_string();
  if (hosts_.insert(host).second) sandbox_.add_address(host);
  servers_.push_back(std::make_unique<Server>(address, protocol));
}

bool AgentTest::comes_to(const std::string& frontend, const std::string& backend) {
  return wait_until([&] { return dial_tcp(frontend).backend == backend; });
}

bool AgentTest::fails_with(const std::string& frontend, int error) {
  return wait_until([&] { return dial_tcp(frontend).error == error; });
}

std::set<std::string> AgentTest::answers(const std::string& frontend, int count) {
  std::set<std::string> seen;
  for (int i = 0; i < count; ++i) seen.insert(dial_tcp(frontend).backend);
  return seen;
}

}  // namespace topolb::test
