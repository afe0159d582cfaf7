// SPDX-License-Identifier: Apache-2.0
// What nobody should send, by a wire to node 1 of two real agents: it goes nowhere, or is left for
// its receiver to find, and well-behaved connections go on.
// Sources: issue of the per-packet path; RFC 791, 8200, 9293.
#include <gmock/gmock.h>

#include <optional>
#include <thread>

#include "net/tc/programs_fixture.h"
#include "support/packet_mutator.h"
#include "support/packet_socket.h"

namespace topolb::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::size_t kIpHeader = 14;
constexpr std::size_t kIpv4Header = 20;
constexpr std::size_t kIpv6Header = 40;

class Malformed : public ProgramsAsClients {
 protected:
  Malformed() {
    cluster_.in("node1", "ip link set eth0 address 02:00:00:00:00:01");
    cluster_.topology().inside("router", [&] { wire_.emplace("n1"); });
    cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  }

  static PacketSpec packet(const Places& at, Protocol protocol) {
    return {.source = at.node1[0] == '[' ? "[2001:db8:5::99]:40000" : "198.51.100.99:40000",
            .destination = at.node1,
            .protocol = protocol,
            .payload = "hello"};
  }
  static std::vector<Bytes> good_frames() {
    std::vector<Bytes> frames;
    for (const auto& at : {kIPv4, kIPv6}) {
      for (const auto protocol : {Protocol::TCP, Protocol::UDP}) {
        frames.push_back(build(packet(at, protocol)));
      }
    }
    return frames;
  }
  static bool is_ipv4(const Bytes& frame) { return frame.at(kIpHeader) >> 4 == 4; }
  /// The frame with another word in its IP header, whose checksum is right.
  static Bytes with_word(Bytes frame, std::size_t offset, std::size_t word) {
    frame.at(kIpHeader + offset) = static_cast<std::uint8_t>(word >> 8);
    frame.at(kIpHeader + offset + 1) = static_cast<std::uint8_t>(word);
    if (is_ipv4(frame)) {
      frame.at(kIpHeader + 10) = frame.at(kIpHeader + 11) = 0;
      const auto sum = internet_checksum(&frame[kIpHeader], kIpv4Header);
      frame.at(kIpHeader + 10) = static_cast<std::uint8_t>(sum >> 8);
      frame.at(kIpHeader + 11) = static_cast<std::uint8_t>(sum);
    }
    return frame;
  }
  void send(const std::vector<Bytes>& frames) const {
    for (const auto& frame : frames) wire_->send(frame);
  }
  [[nodiscard]] JsonText status() const {
    return JsonText(cluster_.topolb(1, {"status", "-o", "json"}).out);
  }
  /// A counter of a namespace's kernel.
  [[nodiscard]] int count(const std::string& place, const std::string& name) const {
    const auto got = run_in(place, {"nstat", "-a", "-s", "-z", name});
    std::istringstream words(got.out.substr(std::min(got.out.find(name), got.out.size())));
    std::string word;
    int value = -1;
    words >> word >> value;
    return value;
  }
  void expect_count(const std::string& place, const std::string& name, int expected) const {
    EXPECT_TRUE(wait_until([&] { return count(place, name) == expected; }))
        << place << " " << name << " " << count(place, name);
  }
  void expect_no_flow_of_sender() const {
    const auto flows = cluster_.topolb(1, {"flow", "list"}).out;
    EXPECT_THAT(flows, HasSubstr("198.51.100.7:")) << "one that was served";
    EXPECT_THAT(flows, Not(HasSubstr("198.51.100.99:")));
    EXPECT_THAT(flows, Not(HasSubstr("2001:db8:5::99")));
  }
  void expect_served() const {
    for (const auto& at : {kIPv4, kIPv6}) {
      EXPECT_TRUE(cluster_.comes_to("client", at.node1, at.pod2, Protocol::UDP)) << at.node1;
    }
  }

  std::optional<PacketSocket> wire_;
};

std::vector<Bytes> cut_off(const Bytes& frame) {
  std::vector<Bytes> frames;
  for (auto length = kIpHeader; length < frame.size(); ++length) {
    frames.emplace_back(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(length));
  }
  return frames;
}

TEST_F(Malformed, WhatIsNotWholeOpensNoFlow) {
  start();
  for (const auto& frame : good_frames()) {
    send(cut_off(frame));
    const bool ipv4 = is_ipv4(frame);
    const auto header = ipv4 ? kIpv4Header : kIpv6Header;
    const auto whole = frame.size() - kIpHeader - (ipv4 ? 0 : kIpv6Header);
    for (const auto length : {whole + 1, std::size_t{0xffff}, (ipv4 ? header : 0) + 7}) {
      wire_->send(with_word(frame, ipv4 ? 2 : 4, length));
    }
    for (const std::size_t first : ipv4 ? std::vector<std::size_t>{0x40, 0x44, 0x4f, 0x55}
                                        : std::vector<std::size_t>{0x00, 0x40, 0x50, 0xf0}) {
      wire_->send(with_word(frame, 0, first << 8));
    }
  }
  cluster_.serve("pod2", kIPv4.pod2, Protocol::UDP);
  cluster_.serve("pod2", kIPv6.pod2, Protocol::UDP);
  expect_served();
  expect_no_flow_of_sender();
}

TEST_F(Malformed, FragmentsWithoutTheFirstGoNowhere) {
  start();
  std::uint32_t identification = 1;
  for (const auto& at : {kIPv4, kIPv6}) {
    for (const auto protocol : {Protocol::TCP, Protocol::UDP}) {
      auto spec = packet(at, protocol);
      spec.payload = std::string(200, 'x');
      auto pieces = fragments_of(build(spec), 64, identification++);
      pieces.erase(pieces.begin());
      send(pieces);
    }
  }
  cluster_.serve("pod2", kIPv4.pod2, Protocol::UDP);
  cluster_.serve("pod2", kIPv6.pod2, Protocol::UDP);
  expect_served();
  expect_no_flow_of_sender();
  EXPECT_EQ(count("pod2", "UdpNoPorts") + count("pod2", "Udp6NoPorts"), 0);
}

TEST_F(Malformed, WrongChecksumsAreLeftForTheReceiverToFind) {
  start();
  constexpr int kTimes = 20;
  for (int time = 0; time < kTimes; ++time) {
    for (auto frame : good_frames()) {
      frame.back() ^= 1;
      wire_->send(frame);
    }
    auto header = good_frames().front();
    header.at(kIpHeader + 10) ^= 1;
    wire_->send(header);
  }
  expect_count("pod2", "UdpInCsumErrors", kTimes);
  expect_count("pod2", "Udp6InCsumErrors", kTimes);
  expect_count("pod2", "TcpInCsumErrors", 2 * kTimes);
  // The bridge between the nodes looks too, if it passes packets by netfilter.
  EXPECT_TRUE(wait_until([&] {
    return count("node2", "IpExtInCsumErrors") + count("router", "IpExtInCsumErrors") == kTimes;
  }));
  cluster_.serve("pod2", kIPv4.pod2, Protocol::UDP);
  cluster_.serve("pod2", kIPv6.pod2, Protocol::UDP);
  expect_served();
}

TEST_F(Malformed, GoodputWhileItRains) {
  start();
  serve_pod(2);
  // The rain's addresses fill the kernel's table of neighbours, which all namespaces share: who is
  // not in it then may be looked for in vain.
  for (const auto& at : {kIPv4, kIPv6}) (void)curl("client", at.node1, "/bulk");
  const std::jthread rain([&](const std::stop_token& over) {
    PacketMutator mutator(7);
    const auto frames = good_frames();
    while (!over.stop_requested()) wire_->send(mutator.mutate(mutator.one_of(frames)));
  });
  for (int time = 0; time < 20; ++time) {
    for (const auto& at : {kIPv4, kIPv6}) {
      EXPECT_EQ(curl("client", at.node1, "/bulk").size(), 1'000'000U) << at.node1;
    }
  }
  EXPECT_LE(status().number("/flows/entries"), status().number("/flows/max_entries"));
}

// Half-open flows make room for each other, or are refused; the one that is established stays.
TEST_F(Malformed, AConnectionOutlivesAFloodOfSyns) {
  start({"--max-flows", "1024"});
  serve_iperf();
  auto& client = start_iperf(kIPv4.node1, {"--time", "1000"});
  for (int number = 0; number < 20'000; ++number) {
    auto spec = packet(kIPv4, Protocol::TCP);
    spec.source = fmt::format("198.18.{}.{}:{}", number / 250 % 250, number % 250 + 1, number + 1);
    spec.payload.clear();
    wire_->send(build(spec));
  }
  const auto before = client.out().size();
  EXPECT_TRUE(wait_until([&] { return client.out().size() > before + 1000; })) << client.out();
  EXPECT_EQ(client.err(), "");
  const auto flows = status();
  EXPECT_GT(flows.number("/flows/evicted") + flows.number("/flows/refused"), 1'000);
  EXPECT_THAT(cluster_.topolb(1, {"flow", "list"}).out, HasSubstr("established"));
}

}  // namespace
}  // namespace topolb::test
