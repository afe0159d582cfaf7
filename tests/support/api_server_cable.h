// SPDX-License-Identifier: Apache-2.0
// What lies between a client and a server: a TCP relay on loopback that can be cut and frozen.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>
#include <thread>

#include "util/ip.h"
#include "util/unique_fd.h"

namespace topolb::test {

class Cable {
 public:
  /// From a port on 127.0.0.1, or on ::1, to `port` on 127.0.0.1.
  explicit Cable(std::uint16_t port, Family family = Family::IPv4);
  Cable(const Cable&) = delete;
  Cable& operator=(const Cable&) = delete;
  ~Cable();

  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// Connections break, and new ones break at once.
  void cut();
  /// Open connections stay open and carry nothing any more, as when a host on the way is gone; new
  /// ones are fine.
  void freeze();
  void mend();

 private:
  struct Wire {
    UniqueFd client;
    UniqueFd server;
    bool frozen = false;
  };
  void run();
  void accept_one();

  std::uint16_t port_ = 0;
  UniqueFd listener_;  // sets port_
  std::uint16_t target_;
  std::mutex mutex_;  // wires_, is_cut_
  std::list<Wire> wires_;
  bool is_cut_ = false;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

/// `ret_port`: 0 for any, and what it came to be.
UniqueFd listen_on_loopback(std::uint16_t& ret_port, Family family = Family::IPv4);
/// To 127.0.0.1; none if nobody listens.
UniqueFd connect_to_loopback(std::uint16_t port);
/// Copies what is there to be read. False: that side has ended.
bool carry(int from, int to);

}  // namespace topolb::test
