// SPDX-License-Identifier: Apache-2.0
// What the flow table must remember, in plain C++: opens flows by packets, and sees that each
// packet of them, in both directions, is translated as their first one was.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "support/packet_path.h"

namespace topolb::test {

/// Services of both families and protocols, with backends on this node and on others, for
/// FlowModel.
std::vector<core::ServicePortPlan> modelled_services();
std::vector<std::string> modelled_local_backends();
void publish_modelled_services(PacketPath& path);

/// Every difference fails the test. Different models may work on one path in different threads.
class FlowModel {
 public:
  /// No two models of a path have the same `number`. `only`: flows of other protocols are none.
  FlowModel(PacketPath& path, std::uint32_t number, std::optional<Protocol> only = {});

  [[nodiscard]] std::size_t size() const { return live_.size(); }
  /// The first packet of a new client, the reply to it, and one more. False: it was refused.
  bool open();
  /// A first packet, answered if it is a SYN, and nothing more; the model forgets it. False: it was
  /// refused.
  bool open_halfway();
  /// As open(); the model forgets it, so that it may be evicted.
  bool open_once();
  /// A packet each way, of one of the flows.
  void exchange(std::size_t index);
  void exchange_random() { exchange(random_index()); }
  void exchange_all();
  /// Ends one of the flows: connections by FIN or now and then by RST, others by silence.
  void close_random();
  /// Ends one by RST of the backend.
  void reset_random();
  void close_all();
  /// Makes those that ended without a FIN older than their timeout.
  void expire_silent();

 private:
  struct Flow {
    std::uint32_t service = 0;
    std::string client;
    std::string source;  // the client, as the backend sees it
    std::string backend;
    bool is_direct = false;  // the backend's node answers
  };
  [[nodiscard]] std::size_t random_index() { return random_() % live_.size(); }
  std::string next_client(Family family);
  Outcome send(const Flow& flow, std::uint8_t flags);
  void expect_sent(const Flow& flow, std::uint8_t flags);
  void expect_answered(const Flow& flow, std::uint8_t flags);
  bool begin(Flow& flow);
  void forget(std::size_t index);

  PacketPath& path_;
  std::uint32_t clients_;
  std::optional<Protocol> only_;
  std::mt19937 random_;
  std::vector<Flow> live_;
  // Backend, source, protocol: what the replies of a flow are told by.
  std::set<std::tuple<std::string, std::string, Protocol>> replies_;
  std::set<std::pair<std::string, Protocol>> silent_;  // clients of flows that ended by silence
};

}  // namespace topolb::test
