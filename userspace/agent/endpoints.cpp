// SPDX-License-Identifier: Apache-2.0
#include "agent/endpoints.h"

#include <cpprest/json.h>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <optional>

#include "agent/controller.h"
#include "agent/metrics.h"
#include "util/version.h"

namespace topolb::agent {
namespace {

using web::json::value;

constexpr const char* kJson = "application/json";
constexpr const char* kText = "text/plain";

constexpr std::uint64_t kHealthyForNs = 60'000'000'000ULL;

std::string rfc3339(std::uint64_t time_ns) {
  const auto time = std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(
          std::chrono::nanoseconds(time_ns)));
  return fmt::format("{:%FT%TZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

// Both families are brought to the newest state at once.
value family_values(const Status& status, bool healthy) {
  auto families = value::object(/*keep_order=*/true);
  for (const auto family : {Family::IPv4, Family::IPv6}) {
    auto one = value::object(/*keep_order=*/true);
    one["lastUpdated"] = value(rfc3339(status.published_ns));
    one["healthy"] = value(healthy);
    families[std::string(to_string(family))] = one;
  }
  return families;
}

HttpReply health_reply(const Status& status, std::uint64_t now_ns,
                       std::optional<bool> node_eligible) {
  const bool healthy = is_healthy(status.heartbeat_ns, now_ns);
  const bool is_ok = healthy && node_eligible.value_or(true);
  auto object = value::object(/*keep_order=*/true);
  object["lastUpdated"] = value(rfc3339(is_ok ? now_ns : status.published_ns));
  object["currentTime"] = value(rfc3339(now_ns));
  if (node_eligible) object["nodeEligible"] = value(*node_eligible);
  object["healthy"] = value(healthy);
  if (status.ready) object["status"] = family_values(status, healthy);
  return {is_ok ? 200 : 503, kJson, object.serialize(), {{"X-Content-Type-Options", "nosniff"}}};
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

}  // namespace

HttpReply answer(std::string_view path, const StatusBoard& board,
                 const dataplane::Datapath& datapath, ProxyMetrics& metrics) {
  const auto status = board.read();
  if (path == "/healthz") {
    auto reply = healthz_reply(status, now_ns());
    metrics.answered_healthz(reply.status);
    return reply;
  }
  if (path == "/livez") {
    auto reply = livez_reply(status, now_ns());
    metrics.answered_livez(reply.status);
    return reply;
  }
  if (path == "/readyz") return readyz_reply(status);
  if (path == "/metrics") {
    HttpReply reply{200, "text/plain; version=0.0.4; charset=utf-8", {}, {}};
    datapath.read_maps([&](const dataplane::KernelMaps& maps) {
      reply.body = render_metrics(status, maps, metrics);
    });
    return reply;
  }
  if (path == "/v1/status") return {200, kJson, status_json(status)};
  if (path == "/v1/problems") return {200, kJson, problems_json(status)};
  return {404, kText,
          "not found; there are /healthz /livez /readyz /metrics /v1/status /v1/problems\n"};
}

bool is_healthy(std::uint64_t heartbeat_ns, std::uint64_t now_ns) {
  return now_ns < heartbeat_ns + kHealthyForNs;
}

HttpReply healthz_reply(const Status& status, std::uint64_t now_ns) {
  return health_reply(status, now_ns, status.node_eligible);
}

HttpReply livez_reply(const Status& status, std::uint64_t now_ns) {
  return health_reply(status, now_ns, std::nullopt);
}

HttpReply readyz_reply(const Status& status) {
  std::string text = status.ready ? "ok\n" : "no complete state is in the kernel yet\n";
  for (const auto& age : status.source_ages) {
    text += age.seconds ? fmt::format("{}: the API server was heard of {:.0f} s ago", age.kind,
                                      *age.seconds)
                        : fmt::format("{}: the API server was never heard of", age.kind);
    text += age.error.empty() ? "\n" : fmt::format(": {}\n", age.error);
  }
  return {status.ready ? 200 : 503, kText, text};
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
  const auto fills = status.all_fill();
  for (std::size_t i = 0; i < fills.size(); ++i) {
    auto fill = value::object(/*keep_order=*/true);
    fill["name"] = value(fills[i].name);
    fill["used"] = value(fills[i].used);
    fill["max"] = value(fills[i].capacity);
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
