// SPDX-License-Identifier: Apache-2.0
// Ends the UDP sockets of gone backends beside the loop, in a thread of its own: it goes from one
// network namespace to the next.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/gone_sockets.h"

namespace topolb::agent {

class SocketEnder {
 public:
  /// A kernel that can't is told once in the log, and all calls do nothing. `datapath` is loaded,
  /// and must outlive it.
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
  Result<void> load();
  void work();
  void log(const Report& report);
  void log_failure(const Error& failed);

  const dataplane::Datapath& datapath_;
  std::uint32_t generation_ = 0;        // of the maps that sockets_ reads
  std::vector<SocketAddress> waiting_;  // for sockets_ to be of the present maps
  std::uint64_t ended_ = 0;
  std::string logged_failure_;
  std::mutex mutex_;  // the next three
  std::shared_ptr<dataplane::GoneSockets> sockets_;
  std::vector<SocketAddress> gone_;
  std::vector<Report> reports_;
  std::atomic<bool> stop_ = false;
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace topolb::agent
