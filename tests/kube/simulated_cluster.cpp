// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>

#include "api_server.h"
#include "kube/server_url.h"
#include "test_cluster.h"

namespace topolb::kube {
namespace {

class SimulatedCluster final : public TestCluster {
 public:
  SimulatedCluster() {
    cable_ = std::make_unique<test::Cable>(parse_server_url(server_.url())->port);
  }

  [[nodiscard]] ClusterConfig config() const override {
    ClusterConfig config;
    config.servers = {fmt::format("https://127.0.0.1:{}", cable_->port())};
    config.certificate_authority.data = server_.authority().certificate_pem();
    if (tokens_ > 0) config.token.data = token();  // without one, it lets everybody in
    return config;
  }
  std::string rotate_token() override {
    ++tokens_;
    server_.set_token(token());
    return token();
  }
  void refuse_slices(bool refuse) override {
    server_.clear_faults();
    if (refuse) server_.inject({.target = "endpointslices", .times = 1 << 20, .status = 403});
  }
  void disturb(unsigned choice) override {
    static const std::array<const char*, 3> kTargets{"services", "slices", "nodes"};
    test::Fault fault{.target = kTargets.at(choice % 3)};
    switch (choice / 3 % 6) {
      case 0:
        fault.status = 500;
        break;
      case 1:
        fault.status = 429;
        break;
      case 2:
        fault.status = 410;
        break;
      case 3:
        fault.cut = choice;
        break;
      case 4:
        fault.per_byte = std::chrono::microseconds(20);
        break;
      default:
        server_.break_connections();
        return;
    }
    server_.inject(fault);
  }
  void calm() override { server_.clear_faults(); }
  void put(const web::json::value& object) override { server_.store().put(object); }
  void remove(const std::string& kind, const std::string& name_space,
              const std::string& name) override {
    server_.store().remove(kind, name_space, name);
  }
  void stop() override { server_.stop(); }
  void start() override { server_.start(); }
  void forget_history() override { server_.store().compact(); }

 private:
  [[nodiscard]] std::string token() const { return fmt::format("agent-{}", tokens_); }
  test::ApiServer server_;
  int tokens_ = 0;
};

}  // namespace

std::unique_ptr<TestCluster> make_simulated_cluster() {
  return std::make_unique<SimulatedCluster>();
}

}  // namespace topolb::kube
