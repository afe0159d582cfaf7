// SPDX-License-Identifier: Apache-2.0
// The agent's problems as Kubernetes Events, written on a thread of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "kube/event_writer.h"

namespace topolb::agent {

class Events {
 public:
  /// `delay_s`: the longest that the first of them waits.
  Events(std::shared_ptr<kube::Api> api, const std::string& node_name, std::uint32_t delay_s);

  /// The problems of now; never waits. For the loop's thread.
  void tell(const kube::EventProblems& problems) { writer_.set(problems); }
  /// How it goes; a new trouble is logged. For the loop's thread.
  kube::EventStatus look();

 private:
  std::shared_ptr<kube::Api> api_;
  kube::EventWriter writer_;
  std::string logged_error_;
  std::jthread thread_;  // last: joined before what it uses is gone
};

}  // namespace topolb::agent
