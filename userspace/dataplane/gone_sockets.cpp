// SPDX-License-Identifier: Apache-2.0
#include "dataplane/gone_sockets.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "dataplane/constants.h"
#include "dataplane/kernel_state.h"
#include "dataplane/network_namespaces.h"
#include "lb_gone.skel.h"

namespace topolb::dataplane {

namespace {

Result<void> share_maps(bpf_object* object, const Datapath& datapath) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    const std::string name = bpf_map__name(map);
    if (name == "gone_backends" || bpf_map__is_internal(map)) continue;
    auto fd = datapath.map(name);
    if (!fd) return fd.error();
    if (auto reused = reuse_map(object, name, fd->get()); !reused) return reused;
  }
  return {};
}

// The program writes one byte for each socket that it ends.
Result<std::uint64_t> run_iterator(int link) {
  const UniqueFd iterator(bpf_iter_create(link));
  if (!iterator) return errno_error(errno, "look through the UDP sockets");
  std::uint64_t ended = 0;
  std::array<char, 4096> bytes{};
  for (;;) {
    const ssize_t count = ::read(iterator.get(), bytes.data(), bytes.size());
    if (count == 0) return ended;
    if (count > 0) {
      ended += static_cast<std::uint64_t>(count);
    } else if (errno != EINTR && errno != EAGAIN) {  // EAGAIN: after a million sockets
      return errno_error(errno, "look through the UDP sockets");
    }
  }
}

}  // namespace

GoneSockets::GoneSockets(UniqueFd link, HashMap<topolb_gone_backend, std::uint32_t> chosen)
    : link_(std::move(link)), chosen_(std::move(chosen)) {}

Result<GoneSockets> GoneSockets::load(const Datapath& datapath) {
  silence_libbpf();
  const auto peers = datapath.map("peers");
  const auto lines = peers ? map_info(peers->get(), "peers") : peers.error();
  if (!lines) return lines.error();
  const auto opened = open_skeleton(lb_gone__create_skeleton, lb_gone__destroy,
                                    {{TOPOLB_PEER_LINES, lines->max_entries}});
  if (!opened) return opened.error();
  // Needed to load only: later it would hold maps that the datapath has replaced.
  const auto& skeleton = *opened;
  if (auto shared = share_maps(skeleton->obj, datapath); !shared) return shared.error();
  if (const int failed = lb_gone__load(skeleton.get()); failed != 0) {
    return errno_error(-failed, "load the iterator over UDP sockets");
  }
  const int program = bpf_program__fd(skeleton->progs.topolb_end_gone);
  UniqueFd link(bpf_link_create(program, 0, BPF_TRACE_ITER, nullptr));
  if (!link) return errno_error(errno, "attach the iterator over UDP sockets");
  UniqueFd map(::fcntl(bpf_map__fd(skeleton->maps.gone_backends), F_DUPFD_CLOEXEC, 3));
  if (!map) return errno_error(errno, "duplicate the descriptor of map gone_backends");
  auto chosen =
      HashMap<topolb_gone_backend, std::uint32_t>::from_fd(std::move(map), "gone_backends");
  if (!chosen) return chosen.error();
  return GoneSockets(std::move(link), std::move(*chosen));
}

EndedSockets GoneSockets::end(std::span<const SocketAddress> gone, const std::atomic<bool>& stop) {
  EndedSockets ended;
  while (!gone.empty() && !stop) {
    const auto part = gone.first(std::min<std::size_t>(gone.size(), TOPOLB_MAX_GONE_BACKENDS));
    gone = gone.subspan(part.size());
    if (auto chosen = choose(part); !chosen) {
      ended.failed = chosen.error();
      return ended;
    }
    end_chosen(ended, stop);
  }
  return ended;
}

Result<void> GoneSockets::choose(std::span<const SocketAddress> gone) {
  for (const auto& [key, value] : chosen_.entries()) {
    if (auto erased = chosen_.erase(key); !erased) return erased;
  }
  for (const auto& backend : gone) {
    const topolb_gone_backend key{
        .address = to_wire(backend.address), .port_be = htons(backend.port), .pad = {}};
    if (auto put = chosen_.put(key, 1); !put) return put;
  }
  return {};
}

void GoneSockets::end_chosen(EndedSockets& ended, const std::atomic<bool>& stop) const {
  const auto note = [&](Error failed) {
    if (!ended.failed) ended.failed = std::move(failed);
  };
  const auto count_here = [&] {
    auto here = end_here();
    if (here) ended.sockets += *here;
    if (!here) note(here.error());
  };
  const UniqueFd home(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!home) return note(errno_error(errno, "open the own network namespace"));
  bool moved = false;
  ended.namespaces = 0;
  for_each_network_namespace([&](int other) {
    ++ended.namespaces;
    if (::setns(other, CLONE_NEWNET) == 0) {
      moved = true;
      count_here();
    } else {
      note(errno_error(errno, "enter a network namespace (needs CAP_SYS_ADMIN)"));
    }
    return !stop;
  });
  if (moved && ::setns(home.get(), CLONE_NEWNET) != 0) {
    note(errno_error(errno, "return to the own network namespace"));
  }
  if (!moved) count_here();  // here at least, which takes no right
}

// Until a run ends none: where sockets are ended, kernels before 6.16 may pass over others.
Result<std::uint64_t> GoneSockets::end_here() const {
  std::uint64_t sum = 0;
  for (;;) {
    const auto ended = run_iterator(link_.get());
    if (!ended) return ended.error();
    if (*ended == 0) return sum;
    sum += *ended;
  }
}

}  // namespace topolb::dataplane
