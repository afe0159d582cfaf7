// SPDX-License-Identifier: Apache-2.0
// A client that connects to a frontend without end, whatever happens meanwhile.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "process.h"
#include "support/sockets.h"

namespace topolb::test {

class Storm {
 public:
  /// `pause`: between two connections, for storms that last long.
  explicit Storm(std::string frontend, std::chrono::microseconds pause = {})
      : frontend_(std::move(frontend)), pause_(pause), client_([this] { run(); }) {}
  ~Storm() { stop(); }
  Storm(const Storm&) = delete;
  Storm& operator=(const Storm&) = delete;

  void stop() {
    done_ = true;
    if (client_.joinable()) client_.join();
  }
  /// Until it has made `count` more connections.
  bool goes_on(int count = 200) const {
    const int target = dialled_ + count;
    return wait_until([&] { return dialled_ >= target; });
  }
  /// Connections that did not come to a backend, or whose peer was not the frontend.
  [[nodiscard]] int failed() const { return failed_; }

 private:
  void run() {
    while (!done_) {
      const auto seen = dial_tcp(frontend_);
      if (seen.error != 0 || seen.backend.empty() || seen.peer != frontend_) ++failed_;
      ++dialled_;
      std::this_thread::sleep_for(pause_);
    }
  }

  std::string frontend_;
  std::chrono::microseconds pause_;
  std::atomic<bool> done_{false};
  std::atomic<int> dialled_{0};
  std::atomic<int> failed_{0};
  std::thread client_;
};

}  // namespace topolb::test
