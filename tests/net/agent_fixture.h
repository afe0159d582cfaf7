// SPDX-License-Identifier: Apache-2.0
// The real topolbd and topolb in a place of their own: cgroup, network namespace, pin path,
// manifests, and an address for the agent's endpoints that nobody else has.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dataplane/kernel_state.h"
#include "http_get.h"
#include "manifests.h"
#include "process.h"
#include "support/sandbox.h"
#include "support/sockets.h"

namespace topolb::test {

using Words = std::vector<std::string>;

class AgentTest : public ::testing::Test {
 protected:
  AgentTest();
  ~AgentTest() override;

  /// Names are relative to the manifests directory; missing directories are made.
  void write(const std::string& file, const std::string& text) const;    // in place
  void replace(const std::string& file, const std::string& text) const;  // by an atomic rename
  void remove(const std::string& file_or_directory) const;
  [[nodiscard]] std::filesystem::path path(const std::string& file = "") const;

  /// Where the agents started from now on find their objects, instead of in path().
  void set_source(Words flags) { source_ = std::move(flags); }
  /// What agents started from now on do before they are the agent.
  void set_preparation(Process::Preparation prepare) { prepare_ = std::move(prepare); }
  /// The agent's command line for node n1 in this sandbox, `more` at its end.
  [[nodiscard]] Words agent_command(const Words& more = {}) const;
  /// Starts it, and waits until it is ready.
  void start_agent(const Words& more = {});
  /// Starts it.
  void launch_agent(const Words& more = {});
  Process& agent() { return *agent_; }
  /// Ends it by a signal and waits for that.
  std::optional<int> stop_agent(int signal);

  /// Runs `topolb WORDS...` to its end. kernel(): with this sandbox's --pin-path.
  static Outcome cli(const Words& words, const Process::Preparation& prepare = {});
  [[nodiscard]] Outcome kernel(Words words) const;

  /// GET from the agent.
  static HttpAnswer get(const std::string& path);
  /// The value of one series of /metrics as it is written there.
  static std::string metric(const std::string& series);
  /// What the maps hold now.
  [[nodiscard]] dataplane::KernelState state() const;
  /// A Service port of state(); a failure and an empty one if it is not there.
  [[nodiscard]] dataplane::KernelService kernel_service(const std::string& name) const;

  /// A server that answers with its own address and port, whose address is made on lo.
  void serve(const std::string& address, Protocol protocol = Protocol::TCP);
  /// Until a connection to `frontend` is answered by `backend`.
  static bool comes_to(const std::string& frontend, const std::string& backend);
  /// Until a connection to `frontend` fails with `error`.
  static bool fails_with(const std::string& frontend, int error);
  /// Who answers `count` connections.
  static std::set<std::string> answers(const std::string& frontend, int count = 24);

  Sandbox sandbox_;

 private:
  std::filesystem::path directory_;
  Words source_;
  Process::Preparation prepare_;
  std::set<std::string> hosts_;
  std::vector<std::unique_ptr<Server>> servers_;
  std::unique_ptr<Process> agent_;
};

inline constexpr const char* kListen = "127.0.0.1:10256";

/// Paths of the programs under test.
std::string topolbd_path();
std::string topolb_path();

}  // namespace topolb::test
