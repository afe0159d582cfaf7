// SPDX-License-Identifier: Apache-2.0
// topolbd: puts source, controller, HTTP server and loop together. Exit codes: 0 ended by SIGTERM
// or SIGINT; 1 the kernel or the machine refused something; 2 wrong flags or an unreadable
// directory.
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <memory>
#include <optional>

#include "agent/controller.h"
#include "agent/http_server.h"
#include "agent/loop.h"
#include "agent/options.h"
#include "dataplane/pins.h"
#include "kube/manifest_directory.h"
#include "kube/manifest_watcher.h"

namespace topolb::agent {
namespace {

// How long the agent is idle before it makes replaced rows free.
constexpr std::uint32_t kTidyUpAfterMs = 1000;

struct Failure {
  int code = 1;
  Error error;
};

/// A directory as the source of objects.
class ManifestSource {
 public:
  static Result<ManifestSource> open(const std::string& path) {
    // The watcher first, so that nothing is missed between it and the first scan.
    auto watcher = kube::ManifestWatcher::open(path);
    if (!watcher) return watcher.error();
    auto directory = kube::ManifestDirectory::open(path);
    if (!directory) return directory.error();
    return ManifestSource(std::move(*watcher), std::move(*directory));
  }

  [[nodiscard]] int fd() const { return watcher_.fd(); }
  ObjectChanges everything() { return with_watch_problems(directory_.scan()); }
  std::optional<ObjectChanges> changes() {
    const auto changed = watcher_.drain();
    if (changed.empty()) return std::nullopt;
    return with_watch_problems(directory_.scan(changed));
  }

 private:
  ManifestSource(kube::ManifestWatcher watcher, kube::ManifestDirectory directory)
      : watcher_(std::move(watcher)), directory_(std::move(directory)) {}

  ObjectChanges with_watch_problems(kube::ManifestChanges&& changes) {
    const auto unwatched = watcher_.problems();
    changes.problems.insert(changes.problems.end(), unwatched.begin(), unwatched.end());
    return {std::move(changes.put), std::move(changes.removed), std::move(changes.problems)};
  }

  kube::ManifestWatcher watcher_;
  kube::ManifestDirectory directory_;
};

std::optional<Failure> serve(const Options& options) {
  auto source = ManifestSource::open(options.manifests);
  if (!source) return Failure{2, source.error()};
  auto loop = Loop::create();
  if (!loop) return Failure{1, loop.error()};
  auto datapath = dataplane::Datapath::open(options.datapath);
  if (!datapath) return Failure{1, datapath.error()};

  StatusBoard board;
  std::optional<HttpServer> http;
  if (!options.listen_host.empty()) {
    auto started =
        HttpServer::start(options.listen_host, options.listen_port, board, datapath->maps());
    if (!started) return Failure{1, started.error()};
    http = std::move(*started);
  }

  Controller controller(options.plan, *datapath, board);
  auto addresses = dataplane::NodeAddressMonitor::open();
  if (!addresses) return Failure{1, addresses.error()};
  const auto read_addresses = [&] {
    addresses->drain();
    auto found = dataplane::read_node_addresses();
    if (found) {
      controller.set_node_addresses(*found);
    } else {
      spdlog::error("{}", found.error().message());  // the known ones stay
    }
  };
  read_addresses();
  if (auto started = controller.start(source->everything()); !started) {
    return Failure{1, started.error()};
  }

  const auto read_objects = [&] {
    auto changes = source->changes();
    if (!changes) return;
    controller.apply(std::move(*changes));
    loop->schedule(kTidyUpAfterMs, [&] { controller.tidy_up(); });
  };
  loop->schedule(kTidyUpAfterMs, [&] { controller.tidy_up(); });
  loop->every_second([&] { board.beat(now_ns()); });
  for (auto watched :
       {loop->watch(source->fd(), read_objects), loop->watch(addresses->fd(), read_addresses)}) {
    if (!watched) return Failure{1, watched.error()};
  }
  if (auto ran = loop->run(); !ran) return Failure{1, ran.error()};
  spdlog::info("ending; the kernel goes on with the last state");
  return std::nullopt;
}

void set_up_log(bool verbose) {
  spdlog::set_default_logger(spdlog::stderr_logger_st("topolbd"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
  spdlog::set_level(verbose ? spdlog::level::debug : spdlog::level::info);
  spdlog::flush_on(spdlog::level::info);
}

int run(int argc, const char* const* argv) {
  auto parsed = parse_options(argc, argv);
  if (const auto* exit = std::get_if<EarlyExit>(&parsed)) {
    std::fputs(exit->text.c_str(), exit->code == 0 ? stdout : stderr);
    return exit->code;
  }
  auto options = std::get<Options>(std::move(parsed));
  set_up_log(options.verbose);
  if (options.datapath.cgroup_path.empty()) {
    auto cgroup = dataplane::find_cgroup2();
    if (!cgroup) {
      fmt::print(stderr, "topolbd: {}\n", cgroup.error().message());
      return 1;
    }
    options.datapath.cgroup_path = *cgroup;
  }
  if (const auto failure = serve(options)) {
    fmt::print(stderr, "topolbd: {}\n", failure->error.message());
    return failure->code;
  }
  return 0;
}

}  // namespace
}  // namespace topolb::agent

int main(int argc, char** argv) {
  try {
    return topolb::agent::run(argc, argv);
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "topolbd: %s\n", failed.what());
    return 1;
  }
}
