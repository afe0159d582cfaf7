// SPDX-License-Identifier: Apache-2.0
#include "bench_node.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>

#include "dataplane/pins.h"
#include "support/plans.h"

namespace topolb::bench {
std::string backend(int service, int number) {
  const int index = service * kBackends + number;
  return fmt::format("10.{}.{}.{}:{}", index >> 16, index >> 8 & 0xff, index & 0xff, kPort);
}

std::vector<std::string> backends(int service) {
  std::vector<std::string> all;
  for (int i = 1; i <= kBackends; ++i) all.push_back(backend(service, i));
  return all;
}

std::string cluster_ip(int service) {
  return fmt::format("198.{}.{}.{}", 18 + (service >> 16), service >> 8 & 0xff, service & 0xff);
}

std::string frontend(int service) { return cluster_ip(service) + ":80"; }

std::vector<core::ServicePortPlan> services(int count, Protocol protocol) {
  std::vector<core::ServicePortPlan> plan;
  for (int i = 0; i < count; ++i) {
    plan.push_back(test::service(fmt::format("s{:06}", i), frontend(i), protocol,
                                 test::traffic({{"", backends(i)}})));
  }
  return plan;
}

Node::Node(const test::Sandbox& sandbox, const std::string& name)
    : cgroup_(sandbox.cgroup() + "/" + name), pin_path_(sandbox.pin_path() + "-" + name) {
  if (::mkdir(cgroup_.c_str(), 0755) != 0) throw std::runtime_error("make cgroup " + cgroup_);
}

Node::~Node() {
  publisher_.reset();
  datapath_.reset();
  (void)dataplane::remove_pins(pin_path_);
  if (::rmdir(cgroup_.c_str()) != 0) std::perror(cgroup_.c_str());
}

void Node::serve(const std::vector<core::ServicePortPlan>& plan) {
  auto opened = dataplane::Datapath::open(
      {.pin_path = pin_path_, .cgroup_path = cgroup_, .node_name = "n1", .limits = {}});
  if (!opened) throw std::runtime_error(opened.error().message());
  datapath_ = std::make_unique<dataplane::Datapath>(std::move(*opened));
  grow_to(plan);
}

void Node::grow_to(const std::vector<core::ServicePortPlan>& plan) {
  if (auto room = datapath_->make_room(dataplane::sizes_needed(core::share(plan))); !room) {
    throw std::runtime_error(room.error().message());
  }
  publisher_ = std::make_unique<dataplane::Publisher>(datapath_->maps());
  publisher_->take_over(plan);
  if (!publisher_->problems().empty()) {
    throw std::runtime_error(publisher_->problems().front().message);
  }
  if (auto attached = datapath_->attach(); !attached) {
    throw std::runtime_error(attached.error().message());
  }
  datapath_->drop_replaced_maps();
}

}  // namespace topolb::bench
