// SPDX-License-Identifier: Apache-2.0
#include "agent/loop.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

namespace topolb::agent {
namespace {

void drain_timer(int fd) {
  std::uint64_t expirations = 0;
  (void)!::read(fd, &expirations, sizeof(expirations));
}

}  // namespace

Result<Loop> Loop::create() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  Loop loop;
  loop.epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  loop.signals_ = UniqueFd(::signalfd(-1, &signals, SFD_CLOEXEC));
  loop.timer_ = UniqueFd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  loop.ticker_ = UniqueFd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  if (!loop.epoll_ || !loop.signals_ || !loop.timer_ || !loop.ticker_) {
    return errno_error(errno, "set up the event loop");
  }
  const itimerspec second{.it_interval = {1, 0}, .it_value = {1, 0}};
  ::timerfd_settime(loop.ticker_.get(), 0, &second, nullptr);
  for (const int fd : {loop.signals_.get(), loop.timer_.get(), loop.ticker_.get()}) {
    if (auto watched = loop.watch(fd, {}); !watched) return watched.error();
  }
  return loop;
}

Result<void> Loop::watch(int fd, std::function<Result<void>()> handler) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return errno_error(errno, "wait for a descriptor");
  }
  handlers_[fd] = std::move(handler);
  return {};
}

void Loop::schedule(std::uint32_t milliseconds, std::function<void()> handler) {
  scheduled_ = std::move(handler);
  const itimerspec once{
      .it_interval = {0, 0},
      .it_value = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1'000'000}};
  ::timerfd_settime(timer_.get(), 0, &once, nullptr);
}

Result<void> Loop::run() {
  std::array<epoll_event, 16> events{};
  while (true) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), -1);
    if (count < 0) {
      if (errno == EINTR) continue;
      return errno_error(errno, "wait for events");
    }
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == signals_.get()) return {};
      if (fd == timer_.get()) {
        drain_timer(fd);
        if (const auto handler = std::exchange(scheduled_, {})) handler();
      } else if (fd == ticker_.get()) {
        drain_timer(fd);
        if (tick_) tick_();
      } else {
        if (auto handled = handlers_.at(fd)(); !handled) return handled;
      }
    }
  }
}

}  // namespace topolb::agent
