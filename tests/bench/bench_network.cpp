// SPDX-License-Identifier: Apache-2.0
#include "bench_network.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <thread>

#include "support/sandbox.h"
#include "util/result.h"

namespace topolb::bench {
namespace {

std::string path_of(int fd) { return fmt::format("/proc/{}/fd/{}", ::getpid(), fd); }

}  // namespace

UniqueFd make_network_namespace() {
  UniqueFd netns;
  int failed = 0;
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) == 0) {
      netns = UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    }
    failed = netns ? 0 : errno;
  }).join();
  if (!netns) {
    throw std::runtime_error(errno_error(failed, "make a network namespace").message());
  }
  run_in(netns.get(), "ip link set lo up");
  return netns;
}

void run_in(int netns, const std::string& command) {
  test::run(fmt::format("nsenter --net={} sh -e -c '{}'", path_of(netns), command));
}

UniqueFd make_server_network() {
  auto netns = make_network_namespace();
  run_in(netns.get(), "ip route add local 10.0.0.0/15 dev lo");
  return netns;
}

UniqueFd make_client_network(int server_netns, int number) {
  auto netns = make_network_namespace();
  run_in(server_netns, fmt::format("ip link add client{0} type veth peer name eth0 netns {1}; "
                                   "ip address add 192.0.{0}.1/24 dev client{0}; "
                                   "ip link set client{0} up",
                                   number, path_of(netns.get())));
  run_in(netns.get(), fmt::format("ip address add 192.0.{0}.2/24 dev eth0; ip link set eth0 up; "
                                  "ip route add default via 192.0.{0}.1; "
                                  "echo 1 >/proc/sys/net/ipv4/tcp_no_metrics_save",
                                  number));
  return netns;
}

void load_kube_proxy_rules(int netns, const std::string& cluster_ip) {
  std::string endpoints;
  std::string choices;
  for (int i = 0; i < 10; ++i) {
    endpoints += fmt::format(R"(
  chain endpoint-{0} {{
    ip saddr 10.0.0.{1} jump mark-for-masquerade
    meta l4proto tcp dnat to 10.0.0.{1}:8080
  }})",
                             i, i + 1);
    choices += fmt::format("{}{} : goto endpoint-{}", i == 0 ? "" : ", ", i, i);
  }
  const auto rules = fmt::format(R"(
table ip kube-proxy {{
  set cluster-ips {{ type ipv4_addr; elements = {{ {0} }} }}
  map no-endpoint-services {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  chain reject-chain {{ reject; }}
  map service-ips {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map service-nodeports {{ type inet_proto . inet_service : verdict; }}
  chain mark-for-masquerade {{ meta mark set meta mark or 0x4000; }}
{1}
  chain service-web {{
    ip daddr {0} tcp dport 80 ip saddr != 10.0.0.0/15 jump mark-for-masquerade
    numgen random mod 10 vmap {{ {2} }}
  }}
  chain services {{
    ip daddr . meta l4proto . th dport vmap @service-ips
    fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @service-nodeports
  }}
  chain service-endpoints-check {{ ip daddr . meta l4proto . th dport vmap @no-endpoint-services; }}
  chain cluster-ips-check {{ ip daddr @cluster-ips reject; }}
  chain filter-output {{
    type filter hook output priority -110; policy accept;
    ct state new jump service-endpoints-check
  }}
  chain filter-output-post-dnat {{
    type filter hook output priority -90; policy accept;
    ct state new jump cluster-ips-check
  }}
  chain nat-output {{ type nat hook output priority -100; policy accept; jump services; }}
  chain nat-prerouting {{ type nat hook prerouting priority -100; policy accept; jump services; }}
  chain masquerading {{
    meta mark & 0x4000 == 0 return
    meta mark set meta mark xor 0x4000
    masquerade fully-random
  }}
  chain nat-postrouting {{ type nat hook postrouting priority 100; policy accept; jump masquerading; }}
}}
add element ip kube-proxy service-ips {{ {0} . tcp . 80 : goto service-web }}
)",
                                 cluster_ip, endpoints, choices);
  FILE* nft = ::popen(fmt::format("nsenter --net={} nft -f -", path_of(netns)).c_str(), "w");
  if (nft == nullptr) throw std::runtime_error("run nft");
  std::fputs(rules.c_str(), nft);
  if (::pclose(nft) != 0) throw std::runtime_error("nft refuses the rules");
}

}  // namespace topolb::bench
