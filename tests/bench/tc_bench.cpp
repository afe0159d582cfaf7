// SPDX-License-Identifier: Apache-2.0
// What a packet costs, above a program that does nothing, measured interleaved with it: the least
// of many rounds. The numbers are for people (goals: 25, 120 and 900 ns); nothing is asserted of
// them.
#include <bpf/bpf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "support/packet_path.h"
#include "tc_bench.skel.h"

namespace topolb::test {
namespace {

constexpr int kRounds = 15;
constexpr std::size_t kHeadersLength = 74;

class TcBench : public ::testing::Test {
 protected:
  TcBench() : path_(131072) {
    if (cost_ == nullptr || tc_bench__load(cost_) != 0) throw std::runtime_error("load tc_bench");
    auto plan = service("web", "10.96.0.1:80", Protocol::TCP, traffic({{"", {"10.1.0.5:8080"}}}));
    add_frontend(plan, core::FrontendKind::NodePort, "0.0.0.0:30080",
                 traffic({{"", {"10.1.0.5:8080"}}}));
    auto local = service("near", "10.96.0.2:80", Protocol::TCP, traffic({{"", {"10.2.0.2:8080"}}}));
    path_.publish({plan, local}, {"10.2.0.2:8080"});
  }
  ~TcBench() override { tc_bench__destroy(cost_); }

  static Bytes packet(const std::string& source, const std::string& destination,
                      std::uint8_t flags) {
    PacketSpec spec;
    spec.source = source;
    spec.destination = destination;
    spec.tcp_flags = flags;
    spec.payload = std::string(100, 'x');
    return build(spec);
  }

  /// ns per packet above nothing; `port_offset`: where each packet has another port.
  double measure(Hook hook, const Bytes& frame, int repeat, std::uint16_t port_offset = 0) {
    double best = std::numeric_limits<double>::max();
    double floor = best;
    for (int round = 0; round < kRounds; ++round) {
      best = std::min(best, run(path_.program(hook), frame, repeat, port_offset));
      floor =
          std::min(floor, run(bpf_program__fd(cost_->progs.nothing), frame, repeat, port_offset));
    }
    return best - floor;
  }

 private:
  double run(int program, const Bytes& frame, int repeat, std::uint16_t port_offset) {
    struct {
      std::uint8_t headers[kHeadersLength];
      std::uint16_t port_offset;
      std::uint32_t port;
    } original{{}, port_offset, next_port_};
    next_port_ += static_cast<std::uint32_t>(repeat);
    std::memcpy(original.headers, frame.data(), kHeadersLength);
    const std::uint32_t row = 0;
    EXPECT_EQ(bpf_map_update_elem(bpf_map__fd(cost_->maps.originals), &row, &original, 0), 0);
    EXPECT_EQ(bpf_map_update_elem(bpf_map__fd(cost_->maps.targets), &row, &program, 0), 0);
    return path_.time(bpf_program__fd(cost_->progs.restore), frame, repeat);
  }

 protected:
  PacketPath path_;

 private:
  tc_bench* cost_ = tc_bench__open();
  std::uint32_t next_port_ = 1;
};

TEST_F(TcBench, NoService) {
  const auto frame = packet("198.51.100.7:40000", "192.0.2.10:22", kAck);
  const double ingress = measure(Hook::Ingress, frame, 20000);
  const double egress = measure(Hook::Egress, frame, 20000);
  std::printf("no Service: ingress %.0f ns, egress %.0f ns\n", ingress, egress);
}

TEST_F(TcBench, EstablishedFlow) {
  const std::string client = "198.51.100.7:40000";
  const auto open = [&](const std::string& frontend, const std::string& backend, Hook reply) {
    const auto there = path_.run(Hook::Ingress, packet(client, frontend, kSyn)).view();
    path_.run(reply, packet(backend, there.source, kSyn | kAck));
    return there.source;
  };
  const auto masqueraded = open("192.0.2.10:30080", "10.1.0.5:8080", Hook::Ingress);
  open("10.96.0.2:80", "10.2.0.2:8080", Hook::Egress);
  const double remote = measure(Hook::Ingress, packet(client, "192.0.2.10:30080", kAck), 20000);
  const double reply = measure(Hook::Ingress, packet("10.1.0.5:8080", masqueraded, kAck), 20000);
  const double local = measure(Hook::Ingress, packet(client, "10.96.0.2:80", kAck), 20000);
  const double local_reply = measure(Hook::Egress, packet("10.2.0.2:8080", client, kAck), 20000);
  std::printf("established: to a remote backend %.0f ns, its reply %.0f ns; local %.0f, %.0f ns\n",
              remote, reply, local, local_reply);
}

TEST_F(TcBench, NewFlow) {
  const double remote =
      measure(Hook::Ingress, packet("198.51.100.7:40000", "192.0.2.10:30080", kSyn), 3000, 34);
  const double local =
      measure(Hook::Ingress, packet("198.51.100.7:40000", "10.96.0.2:80", kSyn), 3000, 34);
  std::printf("new flow: to a remote backend %.0f ns, to a local one %.0f ns\n", remote, local);
}

}  // namespace
}  // namespace topolb::test
