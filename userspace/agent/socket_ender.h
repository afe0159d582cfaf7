// SPDX-License-Identifier: Apache-2.0
// Ends the UDP sockets of gone backends beside the loop, in a thread of its own: it goes from one
// network namespace to the next.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/gone_sockets.h"

namespace topolb::agent {

class SocketEnder {
 public:
  /// A kernel that can't is told once in the log, and all calls do nothing. `datapath` is loaded.
  explicit SocketEnder(const dataplane::Datapath& datapath);
  ~SocketEnder();
  SocketEnder(const SocketEnder&) = delete;
  SocketEnder& operator=(const SocketEnder&) = delete;

  /// Once a second: hands over who is gone since, and logs what was done about those before.
  void beat(std::vector<SocketAddress> gone);
  /// How many sockets, since the start.
  [[nodiscard]] std::uint64_t ended() const { return ended_; }

 private:
  struct Report {
    std::size_t backends = 0;
    double milliseconds = 0;
    dataplane::EndedSockets ended;
  };
  void work();
  void log(const Report& report);

  std::optional<dataplane::GoneSockets> sockets_;
  std::uint64_t ended_ = 0;
  std::string logged_failure_;
  std::mutex mutex_;  // the next three
  std::vector<SocketAddress> gone_;
  std::vector<Report> reports_;
  bool stop_ = false;
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace topolb::agent
