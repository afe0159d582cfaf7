// SPDX-License-Identifier: Apache-2.0
#include "support/packet_path.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>

#include "core/cluster_state.h"
#include "dataplane/constants.h"
#include "dataplane/kernel_state.h"
#include "dataplane/masquerades.h"
#include "dataplane/tc_programs.h"
#include "lb_tc.skel.h"
#include "support/sockets.h"

namespace topolb::test {
namespace {

// linux/bpf.h of Linux 6.17; Debian 12's is older.
constexpr std::uint32_t kChecksumComplete = 1U << 2;
constexpr std::size_t kLargestFrame = 66000;
constexpr std::uint64_t kFrontendSeed = 0x5eed5eed5eed;

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(errno_error(errno, what).message());
}

void make_node() {
  for (const char* device : {"out0", "cluster0", "pod0"}) {
    run(fmt::format("ip link add {0} address 02:00:00:00:00:01 type veth peer name {0}-peer",
                    device));
    run(fmt::format("ip link set {0} up && ip link set {0}-peer up", device));
  }
  run("ip link set cluster0 mtu 1400");
  run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
  run("ip address add 192.0.2.10/24 dev out0 && ip route add default via 192.0.2.1");
  run("ip -6 address add 2001:db8::10/64 dev out0 nodad");
  run("ip -6 route add default via 2001:db8::1");
  run("ip route add 10.1.0.0/16 dev cluster0 && ip -6 route add fd00:1::/64 dev cluster0");
  run("ip route add 10.2.0.2/32 dev pod0 && ip -6 route add fd00:2::2/128 dev pod0");
}

topolb_address wire(const std::string& address) {
  return dataplane::to_wire(*IpAddress::parse(address));
}

Result<UniqueFd> duplicate(bpf_object* object, const std::string& name) {
  const bpf_map* map = bpf_object__find_map_by_name(object, name.c_str());
  const int fd = map == nullptr ? -1 : ::fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return errno_error(errno, "map " + name);
  return UniqueFd(fd);
}

template <typename T>
T require(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return std::move(*result);
}

}  // namespace

struct PacketPathObject {
  dataplane::OpenSkeleton<lb_tc> skeleton;
};

PacketPath::PacketPath(std::uint32_t flows, const dataplane::MapSizes& sizes, bool dsr) {
  make_node();
  external_device_ = ::if_nametoindex("out0");
  pod_device_ = ::if_nametoindex("pod0");
  const auto facts = dataplane::flow_facts_for(flows, 0x5eed);
  const auto rows = dataplane::entries_by_map(sizes);
  auto constants = dataplane::search_constants(kFrontendSeed, rows);
  constants.merge(dataplane::flow_constants(facts, dsr));
  object_ = std::make_unique<PacketPathObject>(PacketPathObject{
      require(dataplane::open_skeleton(lb_tc__create_skeleton, lb_tc__destroy, constants))});
  lb_tc* skeleton = object_->skeleton.get();
  bpf_map__set_max_entries(skeleton->maps.flows, facts.row_lines * TOPOLB_FLOW_ROWS_PER_LINE);
  bpf_map__set_max_entries(skeleton->maps.flow_rows, facts.row_lines);
  bpf_map__set_max_entries(skeleton->maps.flow_index, facts.lines);
  for (const auto& [name, entries] : rows) {
    bpf_map__set_max_entries(bpf_object__find_map_by_name(skeleton->obj, name.c_str()), entries);
  }
  if (lb_tc__load(skeleton) != 0) fail("load lb_tc");
  const std::uint32_t row = 0;
  if (bpf_map_update_elem(bpf_map__fd(skeleton->maps.flow_facts), &row, &facts, BPF_ANY) != 0) {
    fail("flow_facts");
  }
  const auto open = [&](const std::string& name) { return duplicate(skeleton->obj, name); };
  maps_.emplace(require(dataplane::KernelMaps::open(open, dataplane::Access::ReadWrite)));
  flows_.emplace(
      require(dataplane::FlowTable::open(open, dataplane::Access::ReadWrite, maps_->settings[0])));
  maps_->initialize();
  settings().frontend_seed = kFrontendSeed;
  publisher_.emplace(*maps_);
  masquerade_with("192.0.2.10", "2001:db8::10");
  dataplane::choose_node_port_rows(settings(), [](const IpAddress&) { return true; });
  settings().masquerade_port_min = 10000;
  settings().masquerade_port_max = 29999;
  for (const char* address : {"192.0.2.10", "2001:db8::10"}) {
    if (!maps_->node_addresses.put(wire(address),
                                   {.interface_index = 1, .flags = TOPOLB_NODE_ADDRESS_NODE_PORTS}))
      fail("node address");
  }
}

PacketPath::~PacketPath() = default;

void PacketPath::masquerade_with(const std::string& ipv4, const std::string& ipv6) {
  if (!dataplane::choose_masquerades(settings(), {IpAddress::parse(ipv4), IpAddress::parse(ipv6)}))
    fail("choose masquerades");
}

void PacketPath::publish(std::vector<core::ServicePortPlan> plan,
                         const std::vector<std::string>& local) {
  for (auto& port : plan) add_local_backends(port, local);
  publisher_->execute(core::diff(plan_, plan));
  plan_ = std::move(plan);
}

int PacketPath::program(Hook hook) const {
  const auto& programs = object_->skeleton->progs;
  switch (hook) {
    case Hook::Ingress:
      return bpf_program__fd(programs.topolb_ingress);
    case Hook::PodIngress:
      return bpf_program__fd(programs.topolb_pod_ingress);
    case Hook::Egress:
      return bpf_program__fd(programs.topolb_egress);
  }
  return -1;
}

namespace {

__sk_buff context(std::uint32_t device, std::uint32_t gso_size) {
  __sk_buff context{};
  context.ifindex = device;
  context.gso_size = gso_size;
  context.gso_segs = gso_size == 0 ? 0 : 2;
  return context;
}

Outcome run_once(int program, const Bytes& frame, __sk_buff context, std::uint32_t flags) {
  thread_local std::vector<std::uint8_t> frame_out(kLargestFrame);
  Outcome outcome;
  bpf_test_run_opts options{};
  options.sz = sizeof(options);
  options.data_in = frame.data();
  options.data_size_in = static_cast<std::uint32_t>(frame.size());
  options.data_out = frame_out.data();
  options.data_size_out = kLargestFrame;
  options.ctx_in = &context;
  options.ctx_size_in = sizeof(context);
  options.flags = flags;
  if (bpf_prog_test_run_opts(program, &options) != 0) fail("run a packet");
  outcome.frame.assign(frame_out.data(), frame_out.data() + options.data_size_out);
  outcome.action = static_cast<int>(options.retval);
  return outcome;
}

}  // namespace

Outcome PacketPath::run(Hook hook, const Bytes& frame, std::uint32_t gso_size) {
  return run_once(program(hook), frame, context(device(hook), gso_size), 0);
}

Outcome PacketPath::run_summed(Hook hook, const Bytes& frame) {
  return run_once(program(hook), frame, context(device(hook), 0), kChecksumComplete);
}

std::uint32_t PacketPath::device(Hook hook) const {
  return hook == Hook::PodIngress ? pod_device_ : external_device_;
}

double PacketPath::time(int program, const Bytes& frame, int repeat) {
  __sk_buff skb = context(::if_nametoindex("out0"), 0);
  bpf_test_run_opts options{};
  options.sz = sizeof(options);
  options.data_in = frame.data();
  options.data_size_in = static_cast<std::uint32_t>(frame.size());
  options.ctx_in = &skb;
  options.ctx_size_in = sizeof(skb);
  options.repeat = repeat;
  if (bpf_prog_test_run_opts(program, &options) != 0) fail("time a packet");
  return options.duration;
}

std::uint64_t PacketPath::event(std::uint32_t id) const {
  std::vector<std::uint64_t> per_cpu(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  if (bpf_map_lookup_elem(bpf_map__fd(object_->skeleton->maps.packet_events), &id,
                          per_cpu.data()) != 0) {
    fail("read packet_events");
  }
  std::uint64_t sum = 0;
  for (const auto count : per_cpu) sum += count;
  return sum;
}

int PacketPath::remembered_routes() const {
  std::vector<topolb_route> per_cpu(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  const int routes = bpf_map__fd(object_->skeleton->maps.routes);
  int remembered = 0;
  for (std::uint32_t row = 0; row < TOPOLB_ROUTES; ++row) {
    if (bpf_map_lookup_elem(routes, &row, per_cpu.data()) != 0) fail("read routes");
    for (const auto& route : per_cpu) remembered += route.hop.interface_index == 0 ? 0 : 1;
  }
  return remembered;
}

void PacketPath::age_flows(std::uint64_t seconds) {
  flows_->for_each([&](std::uint32_t id, const topolb_flow&) {
    auto& flow = flows_->row(id);
    flow.touched -= topolb_flow_time(seconds * 1'000'000'000);
    flow.touched_tick -= TOPOLB_FLOW_TOUCH_TICKS;
  });
}

}  // namespace topolb::test
