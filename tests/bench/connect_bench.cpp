// SPDX-License-Identifier: Apache-2.0
// How long connect() takes to a Service, and to a backend directly. All kinds take turns within one
// run, in an order that changes, so that what else the machine does hits all of them alike.
// docs/performance.md: how to repeat it, and what came out.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "bench_client.h"
#include "bench_network.h"
#include "bench_node.h"
#include "support/plans.h"
#include "support/sandbox.h"
#include "support/sockets.h"

namespace topolb::bench {
namespace {

constexpr int kClientCpu = 0;
constexpr int kServerCpu = 1;
constexpr std::uint32_t kBatch = 500;  // connections in a turn
constexpr int kManyServices = 10'000;

struct Row {
  std::string name;
  std::unique_ptr<Client> client;
  std::vector<std::uint32_t> latencies_ns = {};
  std::vector<double> ratios = {};  // to the first row, of each round's medians
};

template <typename T>
T quantile(std::vector<T> values, double part) {
  const auto at =
      values.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

std::vector<SocketAddress> addresses(const std::vector<std::string>& texts) {
  std::vector<SocketAddress> result;
  for (const auto& text : texts) result.push_back(test::socket_address(text));
  return result;
}

void run_round(std::vector<Row>& rows, std::mt19937& random) {
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  std::vector<double> medians(rows.size());
  for (const auto index : order) {
    const auto latencies_ns = rows[index].client->connect(kBatch);
    rows[index].latencies_ns.insert(rows[index].latencies_ns.end(), latencies_ns.begin(),
                                    latencies_ns.end());
    medians[index] = quantile(latencies_ns, 0.5);
  }
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].ratios.push_back(medians[i] / medians[0]);
}

void print(const std::vector<Row>& rows, int rounds) {
  fmt::print("connect() over veth, {} rounds of {} each; ratio: median of the rounds\n\n", rounds,
             kBatch);
  fmt::print("{:<46}{:>9}{:>9}{:>8}\n", "", "p50 us", "p99 us", "ratio");
  for (const auto& row : rows) {
    fmt::print("{:<46}{:>9.2f}{:>9.2f}{:>8.3f}\n", row.name,
               quantile(row.latencies_ns, 0.5) / 1000.0, quantile(row.latencies_ns, 0.99) / 1000.0,
               quantile(row.ratios, 0.5));
  }
}

void run(int rounds) {
  const test::Sandbox sandbox;
  const auto server_netns = make_server_network();
  const auto client_netns = make_client_network(server_netns.get(), 1);
  const auto nft_netns = make_client_network(server_netns.get(), 2);
  load_kube_proxy_rules(nft_netns.get(), cluster_ip(0));
  const Acceptor acceptor(server_netns.get(), kServerCpu, kPort);

  Node plain(sandbox, "plain");
  Node one(sandbox, "one");
  Node many(sandbox, "many");
  Node keyed(sandbox, "keyed");
  one.serve(services(1));
  many.serve(services(kManyServices));
  keyed.serve({test::service("keyed", frontend(0), Protocol::TCP,
                             test::traffic({{"kubernetes.io/hostname", {}},
                                            {"rack", {}},
                                            {"topology.kubernetes.io/zone", {}},
                                            {"*", backends(0)}}))});

  std::vector<std::string> all_frontends;
  std::vector<std::string> all_backends;
  for (int i = 0; i < kManyServices; ++i) {
    all_frontends.push_back(frontend(i));
    for (const auto& address : backends(i)) all_backends.push_back(address);
  }
  std::vector<Row> rows;
  const auto add = [&](const char* name, const Node& node, const UniqueFd& netns,
                       const std::vector<std::string>& targets) {
    rows.push_back(
        {name, std::make_unique<Client>(ClientPlace{node.cgroup(), netns.get(), kClientCpu},
                                        addresses(targets))});
  };
  add("direct", plain, client_netns, backends(0));
  add("direct again (the noise)", plain, client_netns, backends(0));
  add("hooks attached, address is no Service", one, client_netns, backends(0));
  add("1 Service", one, client_netns, {frontend(0)});
  add("10,000 Services, one of them", many, client_netns, {frontend(0)});
  add("1 Service, 4 keys, 3 empty tiers", keyed, client_netns, {frontend(0)});
  add("direct, a random one of 100,000 backends", plain, client_netns, all_backends);
  add("10,000 Services, a random one each time", many, client_netns, all_frontends);
  add("kube-proxy's nftables rules, direct", plain, nft_netns, backends(0));
  add("kube-proxy's nftables rules, 1 Service", plain, nft_netns, {frontend(0)});

  std::mt19937 random(1);
  run_round(rows, random);  // to warm up
  for (auto& row : rows) {
    row.latencies_ns.clear();
    row.ratios.clear();
  }
  for (int i = 0; i < rounds; ++i) run_round(rows, random);
  print(rows, rounds);
}

}  // namespace
}  // namespace topolb::bench

// connect_bench [ROUNDS]
int main(int argc, char** argv) {
  int rounds = 100;
  if (argc > 1) {
    const std::string text = argv[1];
    std::from_chars(text.data(), text.data() + text.size(), rounds);
  }
  try {
    topolb::bench::run(std::max(rounds, 1));
    return 0;
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "connect_bench: %s\n", failed.what());
    return 1;
  }
}
