// SPDX-License-Identifier: Apache-2.0
#include "agent/socket_ender.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

namespace topolb::agent {

SocketEnder::SocketEnder(const dataplane::Datapath& datapath) {
  auto loaded = dataplane::GoneSockets::load(datapath);
  if (!loaded) {
    spdlog::warn("UDP sockets connected to a backend that goes away stay so (needs Linux 6.5): {}",
                 loaded.error().message());
    return;
  }
  sockets_ = std::move(*loaded);
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

void SocketEnder::beat(std::vector<SocketAddress> gone) {
  if (!sockets_) return;
  std::vector<Report> reports;
  {
    const std::lock_guard lock(mutex_);
    gone_.insert(gone_.end(), gone.begin(), gone.end());
    reports.swap(reports_);
  }
  if (!gone.empty()) changed_.notify_one();
  for (const auto& report : reports) log(report);
}

void SocketEnder::log(const Report& report) {
  ended_ += report.ended.sockets;
  if (report.ended.sockets > 0) {
    spdlog::info(
        "ended {} UDP sockets of {} backends that are gone, {} network namespaces, {:.1f} ms",
        report.ended.sockets, report.backends, report.ended.namespaces, report.milliseconds);
  }
  const auto& failed = report.ended.failed;
  if (failed && failed->message() != logged_failure_) {
    logged_failure_ = failed->message();
    spdlog::warn("UDP sockets of backends that are gone: {}", logged_failure_);
  }
}

void SocketEnder::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stop_ || !gone_.empty(); });
    if (stop_) return;
    const auto gone = std::exchange(gone_, {});
    lock.unlock();
    const auto begin = std::chrono::steady_clock::now();
    auto ended = sockets_->end(gone);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    lock.lock();
    reports_.push_back({gone.size(), took.count(), std::move(ended)});
  }
}

}  // namespace topolb::agent
