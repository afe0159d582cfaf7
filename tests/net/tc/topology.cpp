// SPDX-License-Identifier: Apache-2.0
#include "net/tc/topology.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "dataplane/kernel_state.h"
#include "dataplane/masquerades.h"
#include "dataplane/pins.h"
#include "support/plans.h"

namespace topolb::test {
namespace {

constexpr std::array kPlaces{"client", "router", "node2", "pod1", "pod2"};

template <typename T>
T require(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace

std::string TcTopology::name_of(const std::string& place) const { return prefix_ + place; }

TcTopology::TcTopology() : prefix_(fmt::format("topolb-tc-{}-", ::getpid())) {
  // The socket hooks are not what is tested here.
  std::ofstream(require(dataplane::find_cgroup2()) + "/cgroup.procs") << ::getpid();
  for (const auto* place : kPlaces) {
    run(fmt::format("ip netns add {0} && ip -n {0} link set lo up", name_of(place)));
  }
  make_namespaces();
}

TcTopology::~TcTopology() {
  for (const auto* place : kPlaces) {
    try {
      run("ip netns del " + name_of(place));
    } catch (const std::exception& failed) {
      std::fprintf(stderr, "%s\n", failed.what());
    }
  }
}

void TcTopology::make_namespaces() const {
  const auto in = [&](const std::string& place, const std::string& command) {
    run(fmt::format("ip netns exec {} sh -ec '{}'", name_of(place), command));
  };
  const std::string forwarding = "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1";
  run(fmt::format("ip link add c0 netns {} type veth peer name r0 netns {}", name_of("client"),
                  name_of("router")));
  run(fmt::format("ip link add eth0 type veth peer name n1 netns {}", name_of("router")));
  run(fmt::format("ip link add eth0 netns {} type veth peer name n2 netns {}", name_of("node2"),
                  name_of("router")));
  run(fmt::format("ip link add pod1 type veth peer name eth0 netns {}", name_of("pod1")));
  run(fmt::format("ip link add pod2 netns {} type veth peer name eth0 netns {}", name_of("node2"),
                  name_of("pod2")));

  in("client",
     "ip link set c0 up; ip addr add 198.51.100.7/24 dev c0; ip route add default via 198.51.100.1;"
     "ip addr add 2001:db8:5::7/64 dev c0 nodad; ip -6 route add default via 2001:db8:5::1");
  in("router", forwarding +
                   "; ip link add br0 type bridge; ip link set br0 up;"
                   "for d in n1 n2; do ip link set $d master br0 up; done; ip link set r0 up;"
                   "ip addr add 198.51.100.1/24 dev r0; ip addr add 2001:db8:5::1/64 dev r0 nodad;"
                   "ip addr add 192.0.2.1/24 dev br0; ip addr add 2001:db8::1/64 dev br0 nodad;"
                   "ip route add 203.0.113.0/24 via 192.0.2.10;"
                   "ip -6 route add 2001:db8:1::/64 via 2001:db8::10");
  const auto node = [&](int number) {
    return fmt::format(
        "{0}; ip link set eth0 up; ip link set pod{1} up; ip addr add 192.0.2.1{2}/24 dev eth0;"
        "ip addr add 2001:db8::1{2}/64 dev eth0 nodad; ip addr add 10.1.{1}.1/24 dev pod{1};"
        "ip addr add fd00:1:{1}::1/64 dev pod{1} nodad; ip route add default via 192.0.2.1;"
        "ip -6 route add default via 2001:db8::1; ip route add 10.1.{3}.0/24 via 192.0.2.1{4};"
        "ip -6 route add fd00:1:{3}::/64 via 2001:db8::1{4}",
        forwarding, number, number - 1, 3 - number, 2 - number);
  };
  run(fmt::format("sh -ec '{}'", node(1)));
  in("node2", node(2));
  for (const int number : {1, 2}) {
    in(fmt::format("pod{}", number),
       fmt::format("ip link set eth0 up; ip addr add 10.1.{0}.2/24 dev eth0;"
                   "ip addr add fd00:1:{0}::2/64 dev eth0 nodad;"
                   "ip route add default via 10.1.{0}.1; ip -6 route add default via fd00:1:{0}::1",
                   number));
  }
}

void TcTopology::start(std::vector<core::ServicePortPlan> plan,
                       const std::vector<std::string>& local, dataplane::TcMethod method) {
  for (auto& port : plan) add_local_backends(port, local);
  datapath_.emplace(require(dataplane::Datapath::open(sandbox_.options())));
  (void)require(datapath_->make_room(plenty()));
  publisher_.emplace(datapath_->maps());
  publisher_->take_over(plan);
  require(datapath_->attach());
  auto& settings = maps().settings[0];
  const auto ipv4 = *IpAddress::parse("192.0.2.10"), ipv6 = *IpAddress::parse("2001:db8::10");
  require(dataplane::choose_masquerades(settings, {ipv4, ipv6}));
  settings.masquerade_port_min = 10000;
  settings.masquerade_port_max = 29999;
  for (const auto& address : {ipv4, ipv6}) {
    require(
        maps().node_addresses.put(dataplane::to_wire(address),
                                  {.interface_index = 1, .flags = TOPOLB_NODE_ADDRESS_NODE_PORTS}));
  }
  attach(method);
}

void TcTopology::attach(dataplane::TcMethod method) {
  programs_.emplace(require(dataplane::TcPrograms::load(
      pin_path(),
      [&](const std::string& name) { return dataplane::open_pinned(pin_path() + "/" + name); }, {},
      /*dsr=*/false)));
  require(programs_->pin_workers());
  for (const auto& [device, program] :
       {std::pair{"eth0", programs_->ingress()}, std::pair{"pod1", programs_->pod_ingress()}}) {
    const dataplane::TcDevice place{::if_nametoindex(device), device};
    for (const auto direction : {dataplane::TcDirection::Ingress, dataplane::TcDirection::Egress}) {
      const int wanted =
          direction == dataplane::TcDirection::Ingress ? program : programs_->egress();
      if (method == dataplane::TcMethod::Filter) {
        require(dataplane::attach_tc_filter(place, direction, wanted));
      } else {
        (void)require(dataplane::attach_tc(pin_path(), place, direction, wanted));
      }
    }
  }
  require(programs_->pin_maps());
  programs_->drop_workers_before();
}

std::string TcTopology::netns_path(const std::string& place) const {
  return "/var/run/netns/" + name_of(place);
}

void TcTopology::inside(const std::string& place, const std::function<void()>& work) const {
  if (place == "node1") {
    work();
    return;
  }
  std::exception_ptr failure;
  std::thread thread([&] {
    try {
      const UniqueFd there(::open(netns_path(place).c_str(), O_RDONLY | O_CLOEXEC));
      if (::setns(there.get(), CLONE_NEWNET) != 0) throw std::runtime_error("enter " + place);
      work();
    } catch (...) {
      failure = std::current_exception();
    }
  });
  thread.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace topolb::test
