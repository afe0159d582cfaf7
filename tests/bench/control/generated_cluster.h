// SPDX-License-Identifier: Apache-2.0
// A cluster of any size as the text that an API server sends: objects as complete as real ones
// are (owners, managed fields, ...), since what is skipped has to be read, too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace topolb::bench {

struct ClusterSize {
  std::uint32_t services = 10'000;
  std::uint32_t endpoints_per_service = 10;
  std::uint32_t nodes = 1'000;
  std::uint32_t zones = 3;
  bool keyed = false;  // every Service has topology keys: hostname, zone, *
  /// The first Service has so many endpoints instead; 0: as all.
  std::uint32_t endpoints_of_first = 0;

  [[nodiscard]] std::uint64_t endpoints() const;
};

/// Objects have numbers; each method gives one object as one line of JSON.
class GeneratedCluster {
 public:
  static constexpr std::uint32_t kSliceLength = 100;  // as the endpoint slice controller has it

  explicit GeneratedCluster(const ClusterSize& size);

  [[nodiscard]] const ClusterSize& size() const { return size_; }
  [[nodiscard]] std::string service(std::uint32_t number) const;
  [[nodiscard]] std::string node(std::uint32_t number) const;
  [[nodiscard]] static std::string node_name(std::uint32_t number);
  [[nodiscard]] std::uint32_t slices_of(std::uint32_t service) const;
  [[nodiscard]] std::string slice(std::uint32_t service, std::uint32_t number) const;
  [[nodiscard]] std::uint64_t version() const { return version_; }

  // What changes. Each makes the object it touches of a newer version.
  enum class EndpointState : std::uint8_t { Ready, Terminating, Gone };
  void set_state(std::uint32_t service, std::uint32_t endpoint, EndpointState state);
  /// A new pod in the place of the one before, on the next node.
  void replace(std::uint32_t service, std::uint32_t endpoint);
  void set_zone_of_node(std::uint32_t node, std::uint32_t zone);
  /// As written anew, with what it had.
  void touch(std::uint32_t service);
  [[nodiscard]] std::uint32_t node_of(std::uint32_t service, std::uint32_t endpoint) const;
  [[nodiscard]] std::uint32_t endpoints_of(std::uint32_t service) const;
  [[nodiscard]] std::uint32_t zone_of_node(std::uint32_t node) const { return zones_[node]; }

 private:
  struct Pod {
    std::uint32_t address = 0;
    std::uint32_t node = 0;
    EndpointState state = EndpointState::Ready;
  };
  [[nodiscard]] const Pod& pod(std::uint32_t service, std::uint32_t endpoint) const;
  Pod& pod(std::uint32_t service, std::uint32_t endpoint);
  [[nodiscard]] std::string endpoint_text(std::uint32_t service, std::uint32_t endpoint) const;

  ClusterSize size_;
  std::vector<Pod> pods_;
  std::vector<std::uint32_t> zones_;
  std::vector<std::uint64_t> service_versions_;
  std::uint32_t next_address_ = 0;
  std::uint64_t version_ = 1'000'000;
};

}  // namespace topolb::bench
