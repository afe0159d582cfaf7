// SPDX-License-Identifier: Apache-2.0
// topolbd: puts source, controller, HTTP server and loop together. Exit codes: 0 ended by SIGTERM
// or SIGINT; 1 the kernel or the machine refused something; 2 wrong flags or an unreadable
// directory.
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <cstdio>
#include <memory>
#include <optional>

#include "agent/controller.h"
#include "agent/endpoints.h"
#include "agent/events.h"
#include "agent/http_server.h"
#include "agent/loop.h"
#include "agent/options.h"
#include "agent/socket_ender.h"
#include "agent/source.h"
#include "agent/source_news.h"
#include "dataplane/pins.h"

namespace topolb::agent {
namespace {

// How long the agent is idle before it makes replaced rows free.
constexpr std::uint32_t kTidyUpAfterMs = 1000;

struct Failure {
  int code = 1;
  Error error;
};

// A pod's environment names the API server by a ClusterIP.
void warn_of_own_service(const Options& options) {
  const bool from_environment =
      options.manifests.empty() && options.api.kubeconfig.empty() && options.api.servers.empty();
  if (!from_environment || options.plan.scope != core::Scope::All) return;
  spdlog::warn(
      "the API server's address is that of the pod's environment, a ClusterIP: after a reboot "
      "nothing serves it before topolb does, so where no kube-proxy runs give --api-server");
}

Result<std::unique_ptr<Source>> open_source(const Options& options) {
  auto source =
      options.manifests.empty() ? open_api(options.api) : open_manifests(options.manifests);
  if (source) warn_of_own_service(options);
  return source;
}

// None without --listen.
Result<std::optional<HttpServer>> listen(const Options& options, HttpServer::Handler handler) {
  if (!options.listen) return std::optional<HttpServer>();
  auto server = HttpServer::start();
  if (!server) return server.error();
  auto listening = server->listen(*options.listen, std::move(handler));
  if (!listening) return Error{listening.error().code, "--listen " + listening.error().what};
  return std::optional(std::move(*server));
}

void log(const std::vector<News>& news) {
  for (const auto& one : news) {
    spdlog::log(one.is_bad ? spdlog::level::warn : spdlog::level::info, "{}", one.text);
  }
}

Result<void> watch_network(Loop& loop, PacketPath& packets) {
  const auto changed = [&packets]() -> Result<void> {
    packets.network_changed();
    return {};
  };
  const auto look = [&packets]() -> Result<void> {
    packets.look_at_flows();
    return {};
  };
  auto watched = loop.watch(packets.address_fd(), changed);
  if (watched) watched = loop.watch(packets.device_fd(), changed);
  return watched ? loop.watch(packets.flow_fd(), look) : watched;
}

std::optional<Failure> serve(const Options& options) {
  auto loop = Loop::create();  // first: it blocks the signals that threads must not get
  if (!loop) return Failure{1, loop.error()};
  auto opened = open_source(options);
  if (!opened) return Failure{2, opened.error()};
  Source& source = **opened;
  auto datapath = dataplane::Datapath::open(options.datapath);
  if (!datapath) return Failure{1, datapath.error()};

  StatusBoard board;
  ProxyMetrics metrics(now_ns());
  Controller controller(options.plan, *datapath, board, metrics);
  const auto http = listen(
      options, [&](std::string_view path) { return answer(path, board, *datapath, metrics); });
  if (!http) return Failure{1, http.error()};

  auto opened_path = PacketPath::open(options.packets, options.plan.node_name,
                                      options.datapath.pin_path, *datapath);
  if (!opened_path) return Failure{1, opened_path.error()};
  PacketPath& packets = *opened_path;
  std::optional<SocketEnder> ender;
  SourceNews source_news;

  std::optional<Events> events;
  if (auto api = source.api()) events.emplace(api, options.plan.node_name, options.event_delay_s);
  bool started = false;
  const auto read_objects = [&]() -> Result<void> {
    auto changes = source.changes();
    if (changes && started) controller.apply(std::move(*changes));
    if (changes && !started) controller.collect(std::move(*changes));
    source.want_all_nodes(controller.needs_all_nodes());
    if (!started && source.is_complete()) {
      if (auto outcome = controller.start(packets); !outcome) return outcome;
      started = true;
      ender.emplace(*datapath);
    }
    if (events && started) events->tell(controller.event_problems());
    loop->schedule(kTidyUpAfterMs, [&] { controller.tidy_up(); });
    return {};
  };
  if (auto first = read_objects(); !first) return Failure{1, first.error()};
  loop->every_second([&] {
    packets.beat();
    if (ender) ender->beat(controller.take_gone_udp());
    if (events) controller.note_events(events->look());
    auto ages = source.ages();
    log(source_news.of(ages));
    controller.beat(std::move(ages), packets, ender ? ender->ended() : 0);
    if (events && started) events->tell(controller.event_problems());
  });
  if (auto watched = loop->watch(source.fd(), read_objects); !watched) {
    return Failure{1, watched.error()};
  }
  if (auto watched = watch_network(*loop, packets); !watched) return Failure{1, watched.error()};
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

// As Go programs do: each Service's health checks take some, and 1,024 is but the usual soft limit.
void allow_all_descriptors() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &files);
}

int run(int argc, const char* const* argv) {
  auto parsed = parse_options(argc, argv);
  if (const auto* exit = std::get_if<EarlyExit>(&parsed)) {
    std::fputs(exit->text.c_str(), exit->code == 0 ? stdout : stderr);
    return exit->code;
  }
  auto options = std::get<Options>(std::move(parsed));
  set_up_log(options.verbose);
  allow_all_descriptors();
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
