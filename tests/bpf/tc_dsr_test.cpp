// SPDX-License-Identifier: Apache-2.0
// Direct server return: what the dialled node wraps, and what the backend's node takes out of it.
// Sources: issue of the per-packet path; docs/decisions/0041; RFC 2003, RFC 2473.
#include <fmt/format.h>

#include "bpf/tc_dsr_fixture.h"

namespace topolb::test {
namespace {

INSTANTIATE_TEST_SUITE_P(Families, TcDsr, kDsrCases, name_of_case);

TEST_P(TcDsr, WrapsThePacketAsItCame) {
  publish({at().remote});
  for (const auto& [frontend, payload] :
       {std::pair{at().node_port, "hello"}, std::pair{at().balancer, ""}}) {
    for (const auto flags : {kSyn, kAck}) {
      const auto got = path_.run(Hook::Ingress, packet(client(), frontend, flags, 64, payload));
      EXPECT_EQ(got.action, kRedirect);
      EXPECT_EQ(got.frame,
                wrap(packet(client(), frontend, flags, 63, payload), at().node, at().remote_pod));
    }
  }
  EXPECT_EQ(path_.flows().count(), 2U);
  EXPECT_EQ(path_.flows().slot_count(), path_.flows().count()) << "no replies come by here";
}

TEST_P(TcDsr, SumOfTheDeviceStaysRight) {
  publish({at().remote, at().local});
  for (int port = 1; port < 20; ++port) {
    (void)path_.run_summed(Hook::Ingress, packet(client(port), at().node_port));
  }
  const auto got = path_.run_summed(
      Hook::Ingress, wrap(packet(client(), at().other_node_port), at().other_node, at().local_pod));
  EXPECT_EQ(got.view().destination, at().local);
}

TEST_P(TcDsr, ClientsOfOneBackendMayShareAPort) {
  publish({at().remote});
  path_.settings().masquerade_port_min = 20000;
  path_.settings().masquerade_port_max = 20000;
  for (int port = 1; port < 100; ++port) {
    EXPECT_EQ(path_.run(Hook::Ingress, packet(client(port), at().node_port)).action, kRedirect);
  }
  EXPECT_EQ(path_.flows().count(), 99U);
}

TEST_P(TcDsr, PodsAndHairpinsAndLocalBackendsAreAsEver) {
  publish({at().remote});
  const auto pod =
      path_.run(Hook::PodIngress, packet(socket_of(at().local_pod, 40000), at().balancer));
  EXPECT_EQ(pod.view().destination, at().remote);
  const auto itself =
      path_.run(Hook::Ingress, packet(socket_of(at().remote_pod, 40000), at().balancer));
  EXPECT_EQ(itself.action, kRedirect);
  EXPECT_EQ(itself.view().destination, at().remote) << "masqueraded";
  publish({at().local});
  EXPECT_EQ(path_.run(Hook::Ingress, packet(client(50000), at().balancer)).view().destination,
            at().local);
}

// A machine that is no node of the cluster: nobody would take its packets out.
TEST_P(TcDsr, BackendsWithoutANodeAreMasqueraded) {
  auto plan = service("web", at().cluster_ip, GetParam().protocol, traffic({{"", {at().remote}}}));
  add_frontend(plan, core::FrontendKind::NodePort, at().any, traffic({{"", {at().remote}}}));
  plan.nodeless_backends = {socket_address(at().remote)};
  path_.publish({plan});
  const auto got = path_.run(Hook::Ingress, packet(client(), at().node_port)).view();
  EXPECT_EQ(got.destination, at().remote);
  EXPECT_NE(got.source, client());
}

TEST_P(TcDsr, TooLargeForTheWrapper) {
  publish({at().remote});
  const std::uint32_t headers = at().overhead + (is_tcp() ? 20 : 8);
  const std::uint32_t room = 1400 - at().overhead - headers;
  EXPECT_EQ(path_.run(Hook::Ingress, packet(client(), at().node_port)).action, kRedirect);
  const auto fits =
      path_.run(Hook::Ingress, packet(client(), at().node_port, kAck, 64, std::string(room, 'x')));
  EXPECT_EQ(fits.frame.size(), 14U + 1400U);
  const auto got = path_
                       .run(Hook::Ingress,
                            packet(client(), at().node_port, kAck, 64, std::string(room + 1, 'x')))
                       .view();
  EXPECT_TRUE(got.is_sent_back);
  EXPECT_EQ(got.mtu, 1400 - at().overhead);
  EXPECT_EQ(got.embedded_source, client());
  EXPECT_TRUE(got.checksums_right);
}

// Those that fit take real sockets: test runs make no TCP of what is to be cut.
TEST_P(TcDsr, SegmentsToBeCutFitOneByOne) {
  publish({at().remote});
  EXPECT_EQ(path_.run(Hook::Ingress, packet(client(), at().node_port)).action, kRedirect);
  const std::uint32_t room = 1400 - 2 * at().overhead - (is_tcp() ? 20 : 8);
  const auto large = packet(client(), at().node_port, kAck, 64, std::string(3000, 'x'));
  EXPECT_NE(path_.run(Hook::Ingress, large, room).action, kRedirect) << "no answer";
  EXPECT_EQ(path_.run(Hook::Ingress, large, room + 1).view().mtu, 1400 - at().overhead);
}

TEST_P(TcDsr, ExpiredPacketsAreToldOf) {
  publish({at().remote});
  const auto got = path_.run(Hook::Ingress, packet(client(), at().node_port, kSyn, 1)).view();
  EXPECT_TRUE(got.is_sent_back);
  EXPECT_EQ(got.icmp_type, at().overhead == 20 ? 11 : 3);
}

TEST_P(TcDsr, TheBackendsNodeAnswersItself) {
  publish({at().remote, at().local});
  for (const auto& frontend : {at().other_node_port, at().balancer}) {
    const auto sent = packet(client(), frontend);
    const auto there = path_.run(Hook::Ingress, wrap(sent, at().other_node, at().local_pod));
    ASSERT_EQ(there.action, kPass);
    EXPECT_EQ(there.frame.size(), sent.size());
    const auto request = there.view();
    EXPECT_EQ(request.destination, at().local);
    EXPECT_EQ(request.source.substr(0, request.source.rfind(':')),
              client().substr(0, client().rfind(':')));
    EXPECT_EQ(request.ttl, 64);
    EXPECT_EQ(request.payload, "hello");
    EXPECT_TRUE(request.checksums_right);

    const auto back =
        path_.run(Hook::Egress, packet(at().local, request.source, kSyn | kAck)).view();
    EXPECT_EQ(back.source, frontend);
    EXPECT_EQ(back.destination, client());
    EXPECT_TRUE(back.checksums_right);
    const auto more = path_.run(
        Hook::Ingress, wrap(packet(client(), frontend, kAck), at().other_node, at().local_pod));
    EXPECT_EQ(more.view().destination, at().local);
  }
  EXPECT_EQ(path_.flows().count(), 2U);
}

// The other node may have chosen a backend of any tier.
TEST_P(TcDsr, TheBackendMayBeInAnyTier) {
  std::vector<std::string> many;
  for (int i = 100; i < 112; ++i) {
    many.push_back(at().overhead == 20 ? fmt::format("10.2.0.{}:8080", i)
                                       : fmt::format("[fd00:2::{}]:8080", i));
  }
  many.push_back(at().local);
  const auto tiers = traffic({{"host", {at().remote}}, {"rack", {many[0]}}, {"zone", many}});
  auto plan = service("web", at().cluster_ip, GetParam().protocol, tiers);
  add_frontend(plan, core::FrontendKind::LoadBalancer, at().balancer, tiers);
  path_.publish({plan}, {at().local});
  const auto got = path_.run(Hook::Ingress, wrapped(packet(client(), at().balancer)));
  ASSERT_EQ(got.action, kPass);
  EXPECT_EQ(got.view().destination, at().local);
}

TEST_P(TcDsr, WhatIsNoneOfOursIsLeftAlone) {
  publish({at().local});
  const auto dialled = packet(client(), at().other_node_port);
  expect_left_alone(
      wrap(packet(client(), socket_of(at().other_node, 22)), at().other_node, at().local_pod),
      "no frontend");
  expect_left_alone(wrap(dialled, "192.0.2.12", at().local_pod).size() > 0 && at().overhead == 20
                        ? wrap(dialled, "192.0.2.12", at().local_pod)
                        : wrap(dialled, "2001:db8::12", at().local_pod),
                    "a NodePort of a node that it is not from");
  auto truncated = wrap(dialled, at().other_node, at().local_pod);
  truncated.resize(truncated.size() - 6);
  expect_left_alone(truncated, "shorter than it says");
  const auto twice =
      wrap(wrap(dialled, at().other_node, at().local_pod), at().other_node, at().local_pod);
  expect_left_alone(twice, "a wrapper in a wrapper");
  EXPECT_EQ(path_.flows().count(), 0U);
}

TEST_P(TcDsr, WhatCannotBeAnsweredHereIsHandedBack) {
  publish({at().remote, at().local});
  const auto expect_handed_back = [&](const Bytes& inner, const std::string& pod, const char* why) {
    const auto got = path_.run(Hook::Ingress, wrap(inner, at().other_node, pod));
    EXPECT_EQ(got.action, kRedirect) << why;
    EXPECT_EQ(got.frame, wrap(inner, pod, at().other_node, kHandedBack)) << why;
  };
  expect_handed_back(packet(client(), at().balancer), at().remote_pod, "a backend of another node");
  expect_handed_back(packet(client(), at().balancer),
                     at().overhead == 20 ? "10.2.0.9" : "fd00:2::9", "a pod that is no backend");
  expect_handed_back(packet(socket_of(at().node, 40000), at().other_node_port), at().local_pod,
                     "this node is the client");
  expect_handed_back(packet(socket_of(at().overhead == 20 ? "10.1.0.9" : "fd00:1::9", 40000),
                            at().other_node_port),
                     at().local_pod, "a client behind another device");
  EXPECT_EQ(path_.event(TOPOLB_EVENT_DIRECT_HANDED_BACK), 4U);
  EXPECT_EQ(path_.flows().count(), 0U);
}

TEST_P(TcDsr, WhatIsHandedBackGoesOnMasqueraded) {
  publish({at().remote});
  const auto sent = packet(client(), at().node_port);
  const auto direct = path_.run(Hook::Ingress, sent);
  const auto inner = unwrap(direct.frame);
  for (int copies = 0; copies < 2; ++copies) {
    const auto got = path_.run(Hook::Ingress, handed_back(inner, at().remote_pod));
    ASSERT_EQ(got.action, kRedirect);
    EXPECT_EQ(got.view().destination, at().remote);
    EXPECT_EQ(got.view().source.rfind(socket_of(at().node, 0).substr(0, 5), 0), 0U);
    EXPECT_TRUE(got.view().checksums_right);
  }
  const auto again = path_.run(Hook::Ingress, packet(client(), at().node_port, kAck)).view();
  EXPECT_EQ(again.destination, at().remote);
  const auto back = path_.run(Hook::Ingress, packet(at().remote, again.source, kSyn | kAck)).view();
  EXPECT_EQ(back.source, at().node_port);
  EXPECT_EQ(back.destination, client());
  expect_left_alone(handed_back(packet(client(41000), at().node_port), at().remote_pod),
                    "of no flow");
  expect_left_alone(handed_back(inner, at().local_pod), "not from its backend");
}

TEST_P(TcDsr, UnknownConnectionsAreReset) {
  publish({at().local});
  if (!is_tcp()) return;
  const auto got = path_.run(Hook::Ingress, wrap(packet(client(), at().other_node_port, kAck),
                                                 at().other_node, at().local_pod));
  EXPECT_EQ(got.action, kRedirect);
  EXPECT_EQ(got.view().tcp_flags, kRst);
  EXPECT_EQ(got.view().source, at().other_node_port);
  EXPECT_EQ(got.view().destination, client());
  EXPECT_TRUE(got.view().checksums_right);
}

TEST_P(TcDsr, SourceRangesHoldForWrappedPackets) {
  auto plan = service("web", at().cluster_ip, GetParam().protocol, traffic({{"", {at().local}}}));
  add_frontend(plan, core::FrontendKind::LoadBalancer, at().balancer,
               traffic({{"", {at().local}}}));
  plan.source_ranges = {
      *IpPrefix::parse(at().overhead == 20 ? "203.0.113.0/24" : "2001:db8:9::/64")};
  path_.publish({plan}, {at().local});
  EXPECT_EQ(path_
                .run(Hook::Ingress,
                     wrap(packet(client(), at().balancer), at().other_node, at().local_pod))
                .action,
            kDrop);
}

// A router on the way from the backend's node to the client tells the frontend.
TEST_P(TcDsr, ErrorsAboutRepliesReachTheBackend) {
  publish({at().remote, at().local});
  const auto error_about = [&](const std::string& frontend) {
    IcmpErrorSpec spec;
    spec.source = at().overhead == 20 ? "198.51.100.1" : "2001:db8:5::1";
    spec.destination = *frontend.begin() == '[' ? frontend.substr(1, frontend.find(']') - 1)
                                                : frontend.substr(0, frontend.find(':'));
    spec.type = at().overhead == 20 ? 3 : 2;
    spec.code = at().overhead == 20 ? 4 : 0;
    spec.mtu = 1300;
    spec.frame = packet(frontend, client(), kAck);
    return build_icmp_error(spec);
  };
  Bytes direct;
  for (int port = 40000; direct.empty(); ++port) {  // until the backend is remote
    path_.flows().for_each(
        [&](std::uint32_t id, const topolb_flow& flow) { (void)path_.flows().remove(id, flow); });
    const auto got = path_.run(Hook::Ingress, packet(client(), at().node_port));
    if (got.action == kRedirect) direct = got.frame;
  }
  const auto wrapped = path_.run(Hook::Ingress, error_about(at().node_port));
  EXPECT_EQ(wrapped.action, kRedirect);
  EXPECT_EQ(unwrap(wrapped.frame).size(), error_about(at().node_port).size());

  (void)path_.run(Hook::Ingress,
                  wrap(packet(client(), at().other_node_port), at().other_node, at().local_pod));
  const auto got = path_.run(
      Hook::Ingress, wrap(error_about(at().other_node_port), at().other_node, at().local_pod));
  ASSERT_EQ(got.action, kPass);
  EXPECT_EQ(got.view().destination, at().local_pod);
  EXPECT_EQ(got.view().embedded_source, at().local);
  EXPECT_EQ(got.view().mtu, 1300U);
  EXPECT_TRUE(got.view().checksums_right);
}

TEST_P(TcDsr, LifeOfAFlowWhoseRepliesAreNotSeen) {
  publish({at().remote});
  const auto send = [&](std::uint8_t flags) {
    return path_.run(Hook::Ingress, packet(client(), at().node_port, flags));
  };
  EXPECT_EQ(send(kSyn).action, kRedirect);
  EXPECT_EQ(send(kAck).action, kRedirect);
  path_.age_flows(is_tcp() ? 80000 : 100);
  EXPECT_EQ(send(kAck).action, kRedirect) << "as one with replies";
  EXPECT_EQ(path_.event(TOPOLB_EVENT_FLOW_OPENED), 1U);
  if (!is_tcp()) return;
  EXPECT_EQ(send(kFin | kAck).action, kRedirect);
  EXPECT_EQ(send(kAck).action, kRedirect) << "the backend may still send";
  path_.age_flows(TOPOLB_FLOW_TCP_DIRECT_FIN_S + 1);
  EXPECT_EQ(send(kAck).view().tcp_flags, kRst);
  EXPECT_EQ(send(kSyn).action, kRedirect);
  EXPECT_EQ(send(kFin | kAck).action, kRedirect);
  EXPECT_EQ(send(kSyn).action, kRedirect) << "the client uses its port again";
  EXPECT_EQ(path_.event(TOPOLB_EVENT_FLOW_OPENED), 3U);
}

TEST_P(TcDsr, AFlowThatIsOverMakesRoomForItsSuccessor) {
  publish({at().local});
  const auto send = [&](std::uint8_t flags) {
    return path_.run(Hook::Ingress, wrap(packet(client(), at().other_node_port, flags),
                                         at().other_node, at().local_pod));
  };
  EXPECT_EQ(send(kSyn).view().destination, at().local);
  if (is_tcp()) {
    EXPECT_EQ(send(kRst).view().destination, at().local);
  } else {
    path_.age_flows(1000);
  }
  EXPECT_EQ(send(kSyn).view().destination, at().local);
  EXPECT_EQ(path_.event(TOPOLB_EVENT_FLOW_OPENED), 2U);
}

TEST_P(TcDsr, FragmentsAreWrappedAndUnwrapped) {
  if (is_tcp()) return;
  publish({at().remote});
  const auto fragments = [&](const std::string& frontend) {
    return fragments_of(packet(client(), frontend, 0, 64, std::string(100, 'x')), 64, 7);
  };
  for (const auto& fragment : fragments(at().node_port)) {
    const auto got = path_.run(Hook::Ingress, fragment);
    EXPECT_EQ(got.action, kRedirect);
    EXPECT_EQ(got.frame.size(), fragment.size() + at().overhead);
  }
  publish({at().local});
  std::vector<Bytes> received;
  for (const auto& fragment : fragments(at().other_node_port)) {
    received.push_back(
        path_.run(Hook::Ingress, wrap(fragment, at().other_node, at().local_pod)).frame);
  }
  const auto whole = look_at(reassemble(received));
  EXPECT_EQ(whole.destination, at().local);
  EXPECT_EQ(whole.payload, std::string(100, 'x'));
  EXPECT_TRUE(whole.checksums_right);
}

}  // namespace
}  // namespace topolb::test
