// SPDX-License-Identifier: Apache-2.0
// The objects of a generated cluster for another process, over a Unix socket: lists and watches as
// an API server answers them, and scenarios on command. In a process of its own, so that what it
// costs to make the text is not counted.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "generated_cluster.h"
#include "util/unique_fd.h"

namespace topolb::bench {

struct ServerOptions {
  bool streams = true;   // lists as events (Kubernetes 1.32 and later), else in pages
  bool protobuf = true;  // else JSON
};

class ObjectServer {
 public:
  ObjectServer(const ClusterSize& size, const ServerOptions& options,
               const std::string& socket_path);
  ~ObjectServer();
  ObjectServer(const ObjectServer&) = delete;
  ObjectServer& operator=(const ObjectServer&) = delete;

 private:
  using Items = std::vector<std::pair<std::uint32_t, std::uint32_t>>;  // numbers of an object

  void accept_connections();
  void serve(const UniqueFd& connection);
  void serve_request(const UniqueFd& connection, const std::string& target);
  void stream_list(const UniqueFd& connection, const std::string& target);
  void send_page(const UniqueFd& connection, const std::string& target);
  void watch(const UniqueFd& connection, const std::string& target);
  [[nodiscard]] Items items_of(const std::string& target) const;
  [[nodiscard]] std::string item(const std::string& kind,
                                 const std::pair<std::uint32_t, std::uint32_t>& numbers) const;

  /// As it goes over the line, in the encoding of the options.
  [[nodiscard]] std::string event(const std::string& kind, std::string_view type,
                                  const std::string& json) const;

  // Scenarios; each returns what it tells the one who asked for it.
  std::string run(const std::string& command);
  std::string change_one_endpoint(std::uint32_t number);
  std::string relabel_own_node();
  std::string drain_zone();
  std::string restart_first_service();
  std::string change_steadily(std::uint32_t seconds);
  void send_event(const std::string& kind, std::string_view type, const std::string& object);
  [[nodiscard]] std::size_t count_watches();
  void send_marker(const std::string& kind);

  GeneratedCluster cluster_;
  ServerOptions options_;
  UniqueFd listener_;
  std::mutex mutex_;                    // watches_
  std::map<std::string, int> watches_;  // descriptors by kind
  std::uint64_t sent_events_ = 0;
  std::uint64_t sent_bytes_ = 0;
  std::jthread acceptor_;
};

}  // namespace topolb::bench
