// SPDX-License-Identifier: Apache-2.0
// Malformed packets by the thousand: what is none of ours, or not whole, is left alone; what is
// translated keeps everything else, and its checksums as right or wrong as they were; answers are
// whole packets; and flows of well-behaved clients go on meanwhile. With direct server return and
// without; ten minutes of it, from a random seed, in the long profile (CONTRIBUTING.md). Source:
// issue of the per-packet path, Must show 5.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>

#include "dataplane/flow_collector.h"
#include "support/flow_model.h"
#include "support/packet_judge.h"
#include "support/packet_mutator.h"

namespace topolb::test {
namespace {

constexpr int kPackets = 50000;
constexpr std::chrono::minutes kLong{5};

struct Seed {
  Hook hook;
  Bytes frame;
};

PacketSpec packet(const std::string& source, const std::string& destination, Protocol protocol,
                  std::uint8_t flags = kSyn) {
  return {.source = source,
          .destination = destination,
          .protocol = protocol,
          .tcp_flags = flags,
          .payload = "hello"};
}

/// Addresses of the services, and of nodes, in one family.
struct Scene {
  std::string client, node_port, remote, near, local, refused, dropped, elsewhere;
  std::string node, other_node, router;
};
const std::vector<Scene> kScenes{
    {"198.51.100.7:40000", "192.0.2.10:31080", "10.1.0.9:8080", "203.0.113.15:80", "10.2.0.2:9090",
     "203.0.113.16:80", "203.0.113.17:80", "198.51.100.200:80", "192.0.2.10", "192.0.2.11",
     "192.0.2.1"},
    {"[2001:db8:5::7]:40000", "[2001:db8::10]:31080", "[fd00:1::9]:8080", "[2001:db8:1::15]:80",
     "[fd00:2::2]:9090", "[2001:db8:1::16]:80", "[2001:db8:1::17]:80", "[2001:db8:5::200]:80",
     "2001:db8::10", "2001:db8::11", "2001:db8::1"}};

std::string host_of(const std::string& socket) {
  const auto host = socket.substr(0, socket.rfind(':'));
  return host[0] == '[' ? host.substr(1, host.size() - 2) : host;
}

class PacketFuzz : public ::testing::TestWithParam<bool> {
 protected:
  PacketFuzz() {
    auto plans = modelled_services();
    std::vector<std::string> local = modelled_local_backends();
    for (const auto& scene : kScenes) {
      local.push_back(scene.local);
      const auto* any = scene.client[0] == '[' ? "[::]:31080" : "0.0.0.0:31080";
      add(plans, core::FrontendKind::NodePort, any, traffic({{"", {scene.remote}}}));
      add(plans, core::FrontendKind::LoadBalancer, scene.near, traffic({{"", {scene.local}}}));
      add(plans, core::FrontendKind::LoadBalancer, scene.refused, refused(core::Verdict::Reject));
      add(plans, core::FrontendKind::LoadBalancer, scene.dropped, refused(core::Verdict::Drop));
    }
    judge_.emplace(plans, GetParam());
    path_.publish(plans, local);
  }

  static void add(std::vector<core::ServicePortPlan>& plans, core::FrontendKind kind,
                  const std::string& frontend, const core::TrafficPlan& traffic) {
    for (const auto protocol : {Protocol::TCP, Protocol::UDP}) {
      const auto number = plans.size() + 100;
      const auto cluster_ip = frontend[0] == '[' ? fmt::format("[fd00:96::{}]:80", number)
                                                 : fmt::format("10.96.0.{}:80", number);
      auto plan = service(fmt::format("s{}", number), cluster_ip, protocol, traffic);
      add_frontend(plan, kind, frontend, traffic);
      plans.push_back(plan);
    }
  }

  /// Opens the flows of the scenes (anew), and collects packets of every kind.
  void make_seeds() {
    seeds_.clear();
    for (const auto& scene : kScenes) {
      for (const auto protocol : {Protocol::TCP, Protocol::UDP}) {
        add_plain(scene, protocol);
        add_fragments(scene, protocol);
        add_errors(scene, protocol);
        add_wrapped(scene, protocol);
      }
    }
    add_odd();
  }

  void add_plain(const Scene& scene, Protocol protocol) {
    for (const auto& to :
         {scene.node_port, scene.near, scene.refused, scene.dropped, scene.elsewhere}) {
      for (const std::uint8_t flags : {kSyn, kAck, kRst, std::uint8_t(kFin | kAck)}) {
        seeds_.push_back({Hook::Ingress, build(packet(scene.client, to, protocol, flags))});
      }
    }
    // Answers.
    const auto there = translated(packet(scene.client, scene.node_port, protocol));
    seeds_.push_back({Hook::Ingress, build(packet(scene.remote, there, protocol, kSyn | kAck))});
    translated(packet(scene.client, scene.near, protocol));
    seeds_.push_back({Hook::Egress, build(packet(scene.local, scene.client, protocol, kAck))});
    auto large = packet(scene.client, scene.node_port, protocol, kAck);
    large.payload = std::string(1400, 'x');
    seeds_.push_back({Hook::Ingress, build(large)});
  }

  /// What the backend sees as the source of a packet; opens its flow.
  std::string translated(const PacketSpec& spec) {
    const auto got = path_.run(Hook::Ingress, build(spec));
    return got.action == kDrop || is_wrapped(got.frame) ? spec.source : got.view().source;
  }

  void add_fragments(const Scene& scene, Protocol protocol) {
    auto large = packet(scene.client, scene.node_port, protocol);
    large.payload = std::string(1000, 'x');
    for (const auto& fragment : fragments_of(build(large), 400, 77)) {
      seeds_.push_back({Hook::Ingress, fragment});
    }
    seeds_.push_back({Hook::Ingress, fragments_of(build(large), 400, 78).back()});
  }

  void add_errors(const Scene& scene, Protocol protocol) {
    const bool ipv4 = scene.client[0] != '[';
    const auto there = translated(packet(scene.client, scene.node_port, protocol));
    const auto error = [&](Hook hook, const std::string& from, const std::string& to,
                           const PacketSpec& quoted) {
      for (const std::size_t embedded : {1000, ipv4 ? 28 : 48}) {
        seeds_.push_back({hook, build_icmp_error({.source = host_of(from),
                                                  .destination = host_of(to),
                                                  .type = std::uint8_t(ipv4 ? 3 : 1),
                                                  .code = 4,
                                                  .mtu = 1200,
                                                  .frame = build(quoted),
                                                  .embedded = embedded})});
      }
    };
    error(Hook::Ingress, scene.remote, scene.node_port, packet(there, scene.remote, protocol));
    error(Hook::Ingress, scene.elsewhere, scene.node_port,
          packet(scene.node_port, scene.client, protocol));
    error(Hook::Egress, scene.local, scene.client, packet(scene.client, scene.local, protocol));
    error(Hook::Ingress, scene.elsewhere, scene.client,
          packet(scene.client, scene.elsewhere, protocol));
  }

  /// From another node for a backend here, and what became of wrappers of this node.
  void add_wrapped(const Scene& scene, Protocol protocol) {
    const auto from_there = [&](const Bytes& frame, const std::string& backend) {
      seeds_.push_back({Hook::Ingress, wrap(frame, scene.other_node, host_of(backend))});
    };
    for (const std::uint8_t flags : {kSyn, kAck, kRst, std::uint8_t(kFin | kAck)}) {
      from_there(build(packet(scene.client, scene.near, protocol, flags)), scene.local);
    }
    from_there(build(packet(scene.client, scene.near, protocol)), scene.remote);
    auto large = packet(scene.client, scene.near, protocol);
    large.payload = std::string(1000, 'x');
    for (const auto& fragment : fragments_of(build(large), 400, 79)) {
      from_there(fragment, scene.local);
    }
    const bool ipv4 = scene.client[0] != '[';
    const auto error = [&](const std::string& to, int type, int code, const Bytes& quoted) {
      return build_icmp_error({.source = scene.router,
                               .destination = to,
                               .type = std::uint8_t(type),
                               .code = std::uint8_t(code),
                               .mtu = 1300,
                               .frame = quoted});
    };
    from_there(error(host_of(scene.near), ipv4 ? 3 : 2, ipv4 ? 4 : 0,
                     build(packet(scene.near, scene.client, protocol, kAck))),
               scene.local);

    const auto sent = build(packet(scene.client, scene.node_port, protocol));
    (void)path_.run(Hook::Ingress, sent);
    seeds_.push_back({Hook::Ingress, wrap(sent, host_of(scene.remote), scene.node, 32)});
    const auto direct = wrap(sent, scene.node, host_of(scene.remote));
    for (const auto& [type, code] :
         ipv4 ? std::vector<std::pair<int, int>>{{3, 4}, {3, 1}, {3, 2}, {11, 0}}
              : std::vector<std::pair<int, int>>{{2, 0}, {1, 0}, {4, 1}, {3, 0}}) {
      seeds_.push_back({Hook::Ingress, error(scene.node, type, code, direct)});
    }
  }

  void add_odd() {
    auto tagged = packet(kScenes[0].client, kScenes[0].node_port, Protocol::TCP);
    tagged.vlan_tags = {7};
    seeds_.push_back({Hook::Ingress, build(tagged)});
    tagged.vlan_tags = {7, 8};
    seeds_.push_back({Hook::Ingress, build(tagged)});
    auto with_options = packet(kScenes[0].client, kScenes[0].node_port, Protocol::UDP);
    with_options.ip_options = {1, 1, 1, 1, 1, 1, 1, 0};
    seeds_.push_back({Hook::Ingress, build(with_options)});
    auto unsummed = packet(kScenes[0].client, kScenes[0].near, Protocol::UDP);
    unsummed.has_checksum = false;
    seeds_.push_back({Hook::Ingress, build(unsummed)});
    for (const auto protocol : {Protocol::TCP, Protocol::UDP}) {
      const auto last = static_cast<std::uint8_t>(protocol);
      for (const auto& to : {kScenes[1].node_port, kScenes[1].near, kScenes[1].refused}) {
        auto extended = packet(kScenes[1].client, to, protocol);
        extended.first_extension = 0;  // hop by hop, destination options, an atomic fragment
        extended.extensions = {60, 0, 1, 4, 0,    0, 0, 0, 44, 0, 1, 4,
                               0,  0, 0, 0, last, 0, 0, 0, 0,  0, 0, 9};
        seeds_.push_back({Hook::Ingress, build(extended)});
      }
    }
  }

  /// As a device that has summed the packet up (CHECKSUM_COMPLETE) hands it over. None: that sum
  /// does not fit the packet afterwards.
  std::optional<Outcome> run_summed(Hook hook, const Bytes& frame) {
    try {
      return path_.run_summed(hook, frame);
    } catch (const std::exception&) {
      return std::nullopt;
    }
  }

  /// One packet; what is wrong with what became of it.
  std::string send_one(PacketMutator& mutator) {
    const auto& seed = mutator.one_of(seeds_);
    const auto hook = mutator.one_in(4) ? static_cast<Hook>(mutator.below(3)) : seed.hook;
    const auto frame = mutator.mutate(seed.frame);
    const bool is_summed = mutator.one_in(4);
    auto got = is_summed ? run_summed(hook, frame) : std::nullopt;
    const bool is_sum_wrong = is_summed && !got;
    if (!got) got = path_.run(hook, frame);
    auto wrong = judge_->judge(hook, frame, *got);
    // The kernel itself gets it wrong when this way of running cuts an answer or takes a tag off;
    // an answer that ended the flow may not come twice.
    const auto packet = dissect(frame);
    const bool is_tagged = packet && packet->ip.start != 14;
    const bool is_told = packet && packet->quoted && is_about_wrapper(*packet->quoted);
    if (is_sum_wrong && got->action != kDrop && got->frame != frame && !is_answer(frame, *got) &&
        !is_tagged && !is_told) {
      wrong += "the sum of the device does not fit";
    }
    ++(got->action == kDrop     ? dropped_
       : is_answer(frame, *got) ? answered_
       : got->frame == frame    ? left_alone_
                                : translated_);
    if (wrong.empty()) return "";
    return fmt::format("{}\nhook {}: {}\nbecame {}: {}", wrong, static_cast<int>(hook), hex(frame),
                       got->action, hex(got->frame));
  }

  static std::string hex(const Bytes& bytes) {
    std::string text;
    for (const auto byte : bytes) text += fmt::format("{:02x}", byte);
    return text;
  }

  PacketPath path_{1024, plenty(), GetParam()};
  std::optional<PacketJudge> judge_;
  std::vector<Seed> seeds_;
  std::uint64_t left_alone_ = 0;
  std::uint64_t translated_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t dropped_ = 0;
};

INSTANTIATE_TEST_SUITE_P(DirectReturn, PacketFuzz, ::testing::Bool());

TEST_P(PacketFuzz, EveryPacketIsLeftAloneOrTranslatedWhole) {
  const bool is_long = std::getenv("TOPOLB_LONG_TESTS") != nullptr;
  const auto end = std::chrono::steady_clock::now() + kLong;
  const std::uint64_t seed = is_long ? std::random_device()() : 1;
  PacketMutator mutator(seed);
  FlowModel clients(path_, 1);
  while (clients.size() < 200) ASSERT_TRUE(clients.open());
  std::uint64_t packets = 0;
  const auto goes_on = [&] {
    return is_long ? std::chrono::steady_clock::now() < end : packets < kPackets;
  };
  while (goes_on()) {
    make_seeds();
    for (int i = 0; i < 1000; ++i, ++packets) {
      const auto wrong = send_one(mutator);
      ASSERT_EQ(wrong, "") << "packet " << packets << " of seed " << seed;
    }
    clients.exchange_random();
    if (packets % 50000 == 0) clients.exchange_all();
    ASSERT_FALSE(HasFailure()) << "after packet " << packets << " of seed " << seed;
  }
  fmt::print("{} packets of seed {}: {} left alone, {} translated, {} answered, {} dropped\n",
             packets, seed, left_alone_, translated_, answered_, dropped_);
  for (const auto count : {left_alone_, translated_, dropped_}) EXPECT_GT(count, packets / 50);
  EXPECT_GT(answered_, TOPOLB_REPLY_BURST / 2) << "more are not allowed at once";

  clients.exchange_all();
  path_.age_flows(2 * TOPOLB_FLOW_TCP_ESTABLISHED_S);
  dataplane::FlowCollector collector(path_.flows());
  for (std::uint32_t slice = 0; slice < dataplane::FlowCollector::kSlices; ++slice) {
    collector.tick(dataplane::flow_time_now());
  }
  EXPECT_EQ(path_.flows().count(), 0U);
  EXPECT_EQ(path_.flows().slot_count(), 0U);
}

}  // namespace
}  // namespace topolb::test
