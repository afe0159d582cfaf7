// SPDX-License-Identifier: Apache-2.0
#include "traffic_client.h"

#include <netinet/in.h>

#include <chrono>
#include <cstring>
#include <ctime>
#include <exception>
#include <fstream>
#include <iostream>
#include <latch>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <tuple>
#include <utility>

#include "support/sockets.h"

namespace topolb::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Targets = std::vector<sockaddr_in>;

struct Order {
  std::string workload;
  std::size_t targets = 0;
  std::uint64_t operations = 0;
  std::uint64_t milliseconds = 0;
  std::size_t threads = 1;
};

Targets read_targets(const std::string& path) {
  std::ifstream file(path);
  Targets targets;
  for (std::string line; std::getline(file, line);) {
    const auto address = test::socket_address(line);
    sockaddr_in target{.sin_family = AF_INET, .sin_port = htons(address.port)};
    std::memcpy(&target.sin_addr, address.address.bytes().data() + 12, 4);
    targets.push_back(target);
  }
  if (targets.empty()) throw std::runtime_error("no targets in " + path);
  return targets;
}

// Of all threads.
std::uint64_t cpu_ns() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<std::uint64_t>(used.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(used.tv_nsec);
}

/// One thread's part, which keeps its sockets and its place in the random order for later orders.
class Worker {
 public:
  Worker(std::unique_ptr<Operation> operation, const Targets& targets, unsigned seed)
      : operation_(std::move(operation)), targets_(targets), random_(seed) {}

  void work(const Order& order, std::latch& start) {
    latencies_ns_.clear();
    failure_ = nullptr;
    start.arrive_and_wait();
    try {
      const auto end = Clock::now() + std::chrono::milliseconds(order.milliseconds);
      // Those before have left the caches to others' code and data: not counted.
      const auto warm_up = order.operations / 20 + 1;
      for (std::uint64_t i = 0; i < warm_up && Clock::now() < end; ++i) once(i == 0);
      for (std::uint64_t i = 0; i < order.operations && (i == 0 || Clock::now() < end); ++i) {
        latencies_ns_.push_back(once(false));
      }
    } catch (const std::exception&) {
      failure_ = std::current_exception();
    }
  }

  [[nodiscard]] const std::vector<std::uint64_t>& latencies_ns() const { return latencies_ns_; }
  [[nodiscard]] const std::exception_ptr& failure() const { return failure_; }

 private:
  std::uint64_t once(bool check) {
    return operation_->once(targets_[random_() % targets_.size()], check);
  }

  std::unique_ptr<Operation> operation_;
  const Targets& targets_;
  std::minstd_rand random_;
  std::vector<std::uint64_t> latencies_ns_;
  std::exception_ptr failure_;
};

class Client {
 public:
  Client(const ServerSockets& server, const std::vector<std::string>& target_files)
      : server_(server) {
    for (const auto& path : target_files) targets_.push_back(read_targets(path));
  }

  std::string run(const Order& order) {
    auto& workers = workers_of(order);
    std::latch start(static_cast<std::ptrdiff_t>(order.threads));
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < order.threads; ++i) {
      others.emplace_back([&, i] { workers[i]->work(order, start); });
    }
    const auto before = Clock::now();
    const auto used_before = cpu_ns();
    workers[0]->work(order, start);
    others.clear();
    const auto used = cpu_ns() - used_before;
    const auto elapsed = Clock::now() - before;
    std::ostringstream latencies;
    std::size_t operations = 0;
    for (const auto& worker : workers) {
      if (worker->failure()) std::rethrow_exception(worker->failure());
      operations += worker->latencies_ns().size();
      for (const auto latency_ns : worker->latencies_ns()) latencies << ' ' << latency_ns;
    }
    std::ostringstream answer;
    answer << used / operations << ' ' << std::chrono::nanoseconds(elapsed).count()
           << latencies.str();
    return answer.str();
  }

 private:
  using Workers = std::vector<std::unique_ptr<Worker>>;

  Workers& workers_of(const Order& order) {
    auto& workers = workers_[{order.workload, order.targets, order.threads}];
    while (workers.size() < order.threads) {
      auto operation = make_operation(order.workload, server_);
      if (!operation) throw std::runtime_error("no workload " + order.workload);
      workers.push_back(std::make_unique<Worker>(std::move(operation), targets_.at(order.targets),
                                                 static_cast<unsigned>(workers.size() + 1)));
    }
    return workers;
  }

  ServerSockets server_;
  std::vector<Targets> targets_;
  std::map<std::tuple<std::string, std::size_t, std::size_t>, Workers> workers_;
};

Order parse(const std::string& line) {
  std::istringstream words(line);
  Order order;
  words >> order.workload >> order.targets >> order.operations >> order.milliseconds >>
      order.threads;
  if (!words || order.threads == 0) throw std::runtime_error("not an order: " + line);
  return order;
}

}  // namespace

void obey_orders(const ServerSockets& server, const std::vector<std::string>& target_files) {
  Client client(server, target_files);
  std::cout << "ok" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    try {
      std::cout << client.run(parse(line)) << std::endl;
    } catch (const std::exception& failed) {
      std::cout << "failed: " << failed.what() << std::endl;
    }
  }
}

}  // namespace topolb::bench
