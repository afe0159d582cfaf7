// SPDX-License-Identifier: Apache-2.0
// topolbd's flags. Source: design.md 4.
#include "agent/options.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace topolb::agent {
namespace {

using Words = std::vector<const char*>;

std::variant<Options, EarlyExit> parse(Words words) {
  words.insert(words.begin(), "topolbd");
  return parse_options(static_cast<int>(words.size()), words.data());
}

Options accept(Words words) {
  words.insert(words.begin(), {"--node", "n1"});
  auto parsed = parse(words);
  if (const auto* exit = std::get_if<EarlyExit>(&parsed)) {
    ADD_FAILURE() << exit->text;
    return {};
  }
  return std::get<Options>(std::move(parsed));
}

TEST(AgentOptions, Defaults) {
  const auto options = accept({});
  EXPECT_EQ(options.plan.node_name, "n1");
  EXPECT_EQ(options.plan.scope, core::Scope::All);
  EXPECT_EQ(options.plan.service_proxy_name, "");
  EXPECT_EQ(options.manifests, "") << "the API of the cluster it runs in";
  EXPECT_EQ(options.api.kubeconfig, "");
  EXPECT_EQ(options.api.node_name, "n1");
  EXPECT_EQ(options.datapath.node_name, "n1");
  EXPECT_EQ(options.datapath.pin_path, "/sys/fs/bpf/topolb");
  EXPECT_EQ(options.datapath.cgroup_path, "") << "the root, to be found";
  EXPECT_EQ(options.listen->to_string(), "127.0.0.1:10256");
  EXPECT_EQ(options.datapath.limits, dataplane::MapSizes());
  EXPECT_FALSE(options.verbose);
}

TEST(AgentOptions, EachFlagArrives) {
  EXPECT_EQ(accept({"--manifests", "dir"}).manifests, "dir");
  EXPECT_EQ(accept({"--scope", "opted-in"}).plan.scope, core::Scope::OptedIn);
  EXPECT_EQ(accept({"--scope=all"}).plan.scope, core::Scope::All);
  EXPECT_EQ(accept({"--cgroup", "/c"}).datapath.cgroup_path, "/c");
  EXPECT_EQ(accept({"--pin-path", "/p"}).datapath.pin_path, "/p");
  EXPECT_TRUE(accept({"--verbose"}).verbose);

  const auto proxy = accept({"--service-proxy-name", "mine"});
  EXPECT_EQ(proxy.plan.service_proxy_name, "mine");
  EXPECT_EQ(proxy.api.service_proxy_name, "mine");

  const auto api = accept({"--kubeconfig", "file", "--context", "c", "--api-server", "https://a",
                           "--api-server", "https://b:6443"});
  EXPECT_EQ(api.api.kubeconfig, "file");
  EXPECT_EQ(api.api.context, "c");
  EXPECT_EQ(api.api.servers, (std::vector<std::string>{"https://a", "https://b:6443"}));
}

TEST(AgentOptions, EachSizeArrives) {
  using dataplane::MapSizes;
  const std::vector<std::pair<const char*, std::uint32_t MapSizes::*>> flags{
      {"--max-services", &MapSizes::services},     {"--max-frontends", &MapSizes::frontends},
      {"--max-backends", &MapSizes::backends},     {"--max-sets", &MapSizes::sets},
      {"--max-slot-lines", &MapSizes::slot_lines}, {"--max-affinities", &MapSizes::affinities},
      {"--max-sockets", &MapSizes::sockets},       {"--max-counters", &MapSizes::counters}};
  for (const auto& [flag, member] : flags) {
    EXPECT_EQ(accept({flag, "1234"}).datapath.limits.*member, 1234U) << flag;
  }
}

TEST(AgentOptions, PacketPath) {
  const auto defaults = accept({}).packets;
  EXPECT_TRUE(defaults.tc.enabled);
  EXPECT_TRUE(defaults.tc.devices.external.empty());
  EXPECT_TRUE(defaults.network.node_port_ranges.empty()) << "primary";
  EXPECT_FALSE(defaults.network.masquerade_ports);
  EXPECT_FALSE(defaults.keep_tcp_of_gone_backends);
  EXPECT_FALSE(defaults.tc.dsr);
  EXPECT_FALSE(accept({"--devices", "none"}).packets.tc.enabled);

  const auto given =
      accept({"--devices", "eth0,bond*", "--devices", "eth1", "--pod-devices", "veth*", "--node-ip",
              "192.0.2.10,2001:db8::10", "--nodeport-addresses", "192.0.2.0/24,::/0",
              "--masquerade-ports", "2000-2999", "--keep-tcp-of-gone-backends", "--max-flows",
              "1000", "--max-fragments", "100", "--dsr"})
          .packets;
  EXPECT_EQ(given.tc.devices.external, (std::vector<std::string>{"eth0", "bond*", "eth1"}));
  EXPECT_EQ(given.tc.devices.pods, std::vector<std::string>{"veth*"});
  ASSERT_EQ(given.network.node_ips.size(), 2U);
  EXPECT_EQ(given.network.node_ips[1].to_string(), "2001:db8::10");
  ASSERT_EQ(given.network.node_port_ranges.size(), 2U);
  EXPECT_EQ(given.network.node_port_ranges[0].to_string(), "192.0.2.0/24");
  EXPECT_EQ(given.network.masquerade_ports, (dataplane::PortRange{2000, 2999}));
  EXPECT_TRUE(given.keep_tcp_of_gone_backends);
  EXPECT_TRUE(given.tc.dsr);
  EXPECT_EQ(given.tc.sizes.most_flows, 1000U);
  EXPECT_EQ(given.tc.sizes.fragments, 100U);
  EXPECT_TRUE(accept({"--nodeport-addresses", "primary"}).packets.network.node_port_ranges.empty());
}

TEST(AgentOptions, Listen) {
  for (const char* text : {"0.0.0.0:80", "[::1]:10256", "[2001:db8::1]:65535"}) {
    const auto options = accept({"--listen", text});
    ASSERT_TRUE(options.listen) << text;
    EXPECT_EQ(options.listen->to_string(), text);
  }
  EXPECT_FALSE(accept({"--listen", ""}).listen) << "no server";
  EXPECT_FALSE(accept({"--listen=", "--verbose"}).listen) << "the next word is not its value";
}

TEST(AgentOptions, HelpAndVersionAreNoErrors) {
  for (const char* flag : {"--help", "--version"}) {
    const auto parsed = parse({flag});
    const auto& exit = std::get<EarlyExit>(parsed);
    EXPECT_EQ(exit.code, 0) << flag;
    EXPECT_NE(exit.text.find("topolbd"), std::string::npos) << flag;
  }
  const auto help = std::get<EarlyExit>(parse({"--help"})).text;
  for (const char* flag :
       {"--node", "--manifests", "--kubeconfig", "--context", "--api-server", "--scope",
        "--service-proxy-name", "--cgroup", "--pin-path", "--listen", "--max-counters"}) {
    EXPECT_NE(help.find(flag), std::string::npos) << flag;
  }
}

TEST(AgentOptions, EachErrorIsOneLineAndTwo) {
  struct Case {
    Words words;
    const char* part;
  };
  const std::vector<Case> cases{
      {{}, "--node is required"},
      {{"--node"}, "--node"},
      {{"--node", ""}, "--node must not be empty"},
      {{"--node=", "--manifests", "d"}, "--node must not be empty"},
      {{"--node", "n1", "--node", "n2"}, "--node"},
      {{"--node", "n1", "--scope", "some"}, "--scope"},
      {{"--node", "n1", "--manifests", "d", "--kubeconfig", "f"}, "--kubeconfig"},
      {{"--node", "n1", "--manifests", "d", "--api-server", "https://a"}, "--api-server"},
      {{"--node", "n1", "--context", "c"}, "--context"},
      {{"--node", "n1", "--api-server", "not a url"}, "--api-server"},
      {{"--node", "n1", "--listen", "10256"}, "--listen: \"10256\" is not ADDRESS:PORT"},
      {{"--node", "n1", "--listen", "localhost:80"}, "\"localhost\" is not an address"},
      {{"--node", "n1", "--listen", "::1:80"}, "\"::1\" is not an address (IPv6 in brackets)"},
      {{"--node", "n1", "--listen", "[127.0.0.1]:80"}, "is not an address"},
      {{"--node", "n1", "--listen", "127.0.0.1:"}, "is not a port"},
      {{"--node", "n1", "--listen", "127.0.0.1:0"}, "\"0\" is not a port (1 to 65535)"},
      {{"--node", "n1", "--listen", "127.0.0.1:65536"}, "\"65536\" is not a port"},
      {{"--node", "n1", "--max-sets", "1"}, "--max-sets"},
      {{"--node", "n1", "--max-sets", "99999999"}, "--max-sets"},
      {{"--node", "n1", "--max-sets", "few"}, "few"},
      {{"--node", "n1", "--max-sets", "-4"}, "--max-sets"},
      {{"--node", "n1", "--devices", "none,eth0"}, "--devices: none stands alone"},
      {{"--node", "n1", "--devices", "none", "--pod-devices", "veth*"}, "none stands alone"},
      {{"--node", "n1", "--node-ip", "n1"}, "--node-ip: \"n1\" is not the address of a node"},
      {{"--node", "n1", "--node-ip", "0.0.0.0"}, "\"0.0.0.0\" is not the address of a node"},
      {{"--node", "n1", "--node-ip", "192.0.2.1,192.0.2.2"}, "are both IPv4"},
      {{"--node", "n1", "--nodeport-addresses", "192.0.2.1"}, "\"192.0.2.1\" is no range"},
      {{"--node", "n1", "--nodeport-addresses", "primary,::/0"}, "primary stands alone"},
      {{"--node", "n1", "--masquerade-ports", "2000"}, "\"2000\" is not FIRST-LAST"},
      {{"--node", "n1", "--masquerade-ports", "3000-2000"}, "\"3000-2000\" is not FIRST-LAST"},
      {{"--node", "n1", "--masquerade-ports", "0-10"}, "\"0-10\" is not FIRST-LAST"},
      {{"--node", "n1", "--masquerade-ports", "1-70000"}, "\"1-70000\" is not FIRST-LAST"},
      {{"--node", "n1", "--max-flows", "1"}, "--max-flows"},
      {{"--node", "n1", "--nonsense"}, "--nonsense"},
      {{"--nonsense"}, "--nonsense"},
      {{"--node", "n1", "word"}, "word"},
  };
  for (const auto& [words, part] : cases) {
    const auto parsed = parse(words);
    const auto* exit = std::get_if<EarlyExit>(&parsed);
    ASSERT_NE(exit, nullptr) << part;
    EXPECT_EQ(exit->code, 2) << part;
    EXPECT_EQ(std::count(exit->text.begin(), exit->text.end(), '\n'), 1) << exit->text;
    EXPECT_EQ(exit->text.back(), '\n');
    EXPECT_EQ(exit->text.rfind("topolbd: ", 0), 0U) << exit->text;
    EXPECT_NE(exit->text.find(part), std::string::npos) << exit->text;
  }
}

}  // namespace
}  // namespace topolb::agent
