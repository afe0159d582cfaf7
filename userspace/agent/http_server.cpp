// SPDX-License-Identifier: Apache-2.0
#include "agent/http_server.h"

#include <cpprest/http_listener.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <pplx/threadpool.h>

#include <mutex>

#include "agent/controller.h"
#include "agent/metrics.h"
#include "util/version.h"

namespace topolb::agent {
namespace {

using web::http::http_request;
using web::http::status_codes;
using web::json::value;

constexpr std::uint64_t kHealthyForNs = 60'000'000'000ULL;

std::string rfc3339(std::uint64_t time_ns) {
  const auto time = std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(
          std::chrono::nanoseconds(time_ns)));
  return fmt::format("{:%FT%TZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

value problem_value(const core::Problem& problem) {
  auto object = value::object(/*keep_order=*/true);
  object["kind"] = value(problem.kind);
  object["namespace"] = value(problem.namespace_name);
  object["name"] = value(problem.name);
  object["reason"] = value(problem.reason);
  object["message"] = value(problem.message);
  return object;
}

void answer(const http_request& request, const StatusBoard& board,
            const dataplane::KernelMaps& maps) {
  const auto path = request.relative_uri().path();
  const auto status = board.read();
  if (path == "/healthz" || path == "/livez") {
    const auto now = now_ns();
    request.reply(is_healthy(status, now) ? status_codes::OK : status_codes::ServiceUnavailable,
                  health_json(status, now), "application/json");
  } else if (path == "/readyz") {
    request.reply(status.ready ? status_codes::OK : status_codes::ServiceUnavailable,
                  status.ready ? "ok\n" : "no complete state is in the kernel yet\n", "text/plain");
  } else if (path == "/metrics") {
    request.reply(status_codes::OK, render_metrics(status, maps),
                  "text/plain; version=0.0.4; charset=utf-8");
  } else if (path == "/v1/status") {
    request.reply(status_codes::OK, status_json(status), "application/json");
  } else if (path == "/v1/problems") {
    request.reply(status_codes::OK, problems_json(status), "application/json");
  } else {
    request.reply(status_codes::NotFound,
                  "not found; there are /healthz /livez /readyz /metrics /v1/status /v1/problems\n",
                  "text/plain");
  }
}

void limit_threads() {
  static std::once_flag once;
  std::call_once(once, [] {
    try {
      crossplat::threadpool::initialize_with_threads(2);  // its default of 40 is for big servers
    } catch (const std::exception&) {  // the client of the Kubernetes API has set it up already
    }
  });
}

}  // namespace

struct HttpServer::Listener {
  explicit Listener(const std::string& url) : http(url) {}
  web::http::experimental::listener::http_listener http;
};

HttpServer::HttpServer(std::unique_ptr<Listener> listener) : listener_(std::move(listener)) {}
HttpServer::HttpServer(HttpServer&&) noexcept = default;
HttpServer& HttpServer::operator=(HttpServer&&) noexcept = default;

HttpServer::~HttpServer() {
  if (!listener_) return;
  try {
    listener_->http.close().wait();
  } catch (const std::exception&) {  // closing at the end of the process: nobody to tell
  }
}

Result<HttpServer> HttpServer::start(const std::string& host, std::uint16_t port,
                                     const StatusBoard& board, const dataplane::KernelMaps& maps) {
  limit_threads();
  try {
    auto listener = std::make_unique<Listener>(fmt::format("http://{}:{}", host, port));
    listener->http.support(web::http::methods::GET,
                           [&](const http_request& request) { answer(request, board, maps); });
    listener->http.open().wait();
    return HttpServer(std::move(listener));
  } catch (const std::exception& failed) {
    return Error{{}, fmt::format("--listen {}:{}: {}", host, port, failed.what())};
  }
}

bool is_healthy(const Status& status, std::uint64_t now_ns) {
  return now_ns < status.heartbeat_ns + kHealthyForNs;
}

std::string health_json(const Status& status, std::uint64_t now_ns) {
  auto object = value::object(/*keep_order=*/true);
  object["lastUpdated"] = value(rfc3339(status.heartbeat_ns));
  object["currentTime"] = value(rfc3339(now_ns));
  return object.serialize();
}

std::string status_json(const Status& status) {
  auto object = value::object(/*keep_order=*/true);
  object["version"] = value(std::string(kVersion));
  object["ready"] = value(status.ready);
  object["started"] = value(rfc3339(status.started_ns));
  object["published"] = value(rfc3339(status.published_ns));
  object["servicePorts"] = value(static_cast<std::uint64_t>(status.service_ports));
  object["operations"] = value(status.changes);
  object["problems"] = value(static_cast<std::uint64_t>(status.problems.size()));
  auto maps = value::array();
  for (std::size_t i = 0; i < status.fill.size(); ++i) {
    auto fill = value::object(/*keep_order=*/true);
    fill["name"] = value(status.fill[i].name);
    fill["used"] = value(status.fill[i].used);
    fill["max"] = value(status.fill[i].capacity);
    maps[i] = fill;
  }
  object["maps"] = maps;
  auto ages = value::array();
  for (std::size_t i = 0; i < status.source_ages.size(); ++i) {
    const auto& source = status.source_ages[i];
    auto age = value::object(/*keep_order=*/true);
    age["kind"] = value(source.kind);
    age["ageSeconds"] = source.seconds ? value(*source.seconds) : value::null();
    age["error"] = value(source.error);
    ages[i] = age;
  }
  object["watches"] = ages;
  return object.serialize();
}

std::string problems_json(const Status& status) {
  auto list = value::array();
  for (std::size_t i = 0; i < status.problems.size(); ++i) {
    list[i] = problem_value(status.problems[i]);
  }
  auto object = value::object();
  object["problems"] = list;
  return object.serialize();
}

}  // namespace topolb::agent
