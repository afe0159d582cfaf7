// SPDX-License-Identifier: Apache-2.0
#include "agent/socket_ender.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

namespace topolb::agent {

SocketEnder::SocketEnder(const dataplane::Datapath& datapath) : datapath_(datapath) {
  if (const auto loaded = load(); !loaded) {
    spdlog::warn("UDP sockets connected to a backend that goes away stay so (needs Linux 6.5): {}",
                 loaded.error().message());
    return;
  }
  thread_ = std::thread([this] { work(); });
}

SocketEnder::~SocketEnder() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

Result<void> SocketEnder::load() {
  const auto generation = datapath_.generation();
  auto loaded = dataplane::GoneSockets::load(datapath_);
  if (!loaded) return loaded.error();
  generation_ = generation;
  const std::lock_guard lock(mutex_);
  sockets_ = std::make_shared<dataplane::GoneSockets>(std::move(*loaded));
  return {};
}

void SocketEnder::beat(std::vector<SocketAddress> gone) {
  if (!thread_.joinable()) return;
  waiting_.insert(waiting_.end(), gone.begin(), gone.end());
  if (generation_ != datapath_.generation()) {
    if (const auto loaded = load(); !loaded) return log_failure(loaded.error());
  }
  std::vector<Report> reports;
  {
    const std::lock_guard lock(mutex_);
    gone_.insert(gone_.end(), waiting_.begin(), waiting_.end());
    reports.swap(reports_);
  }
  if (!waiting_.empty()) changed_.notify_one();
  waiting_.clear();
  for (const auto& report : reports) log(report);
}

void SocketEnder::log(const Report& report) {
  ended_ += report.ended.sockets;
  if (report.ended.sockets > 0) {
    spdlog::info(
        "ended {} UDP sockets of {} backends that are gone, {} network namespaces, {:.1f} ms",
        report.ended.sockets, report.backends, report.ended.namespaces, report.milliseconds);
  }
  if (report.ended.failed) log_failure(*report.ended.failed);
}

void SocketEnder::log_failure(const Error& failed) {
  if (failed.message() == logged_failure_) return;
  logged_failure_ = failed.message();
  spdlog::warn("UDP sockets of backends that are gone: {}", logged_failure_);
}

void SocketEnder::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stop_ || !gone_.empty(); });
    if (stop_) return;
    const auto gone = std::exchange(gone_, {});
    const auto sockets = sockets_;
    lock.unlock();
    const auto begin = std::chrono::steady_clock::now();
    auto ended = sockets->end(gone, stop_);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    lock.lock();
    reports_.push_back({gone.size(), took.count(), std::move(ended)});
  }
}

}  // namespace topolb::agent
