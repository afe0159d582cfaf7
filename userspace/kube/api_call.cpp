// SPDX-License-Identifier: Apache-2.0
#include "kube/api_call.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <condition_variable>
#include <mutex>

#include "kube/decoder.h"
#include "kube/resource.h"

namespace topolb::kube {
namespace {

constexpr unsigned kMaxTries = 4;
constexpr std::chrono::seconds kMaxRetryAfter{5};
constexpr int kUnauthorized = 401;

class ApiStatusCategory final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "kubernetes api"; }
  [[nodiscard]] std::string message(int status) const override {
    return fmt::format("HTTP status {}", status);
  }
};

bool is_json_object(const std::string& body) {
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  return parser.parse(body).get_object().get(object) == simdjson::SUCCESS;
}

Error refusal(const std::string& what, const HttpResponse& response) {
  const auto status = parse_status(response.error_body);
  const bool has_words = status && !status->message.empty();
  return {std::error_code(response.status, api_status_category()),
          fmt::format("{}: {}", what, has_words ? status->message : "the API server refused")};
}

bool wait(std::chrono::seconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

/// How long to wait before the same request again; none: do not try again.
std::optional<std::chrono::seconds> wait_after(const HttpResponse& response, unsigned tries) {
  if (response.status == kUnauthorized && tries == 1) return std::chrono::seconds(0);
  if (response.status != kStatusTooManyRequests || tries >= kMaxTries) return std::nullopt;
  const auto seconds = response.retry_after.value_or(std::chrono::seconds(1));
  return seconds <= kMaxRetryAfter ? std::optional(seconds) : std::nullopt;
}

}  // namespace

const std::error_category& api_status_category() {
  static const ApiStatusCategory category;
  return category;
}

int api_status_of(const Error& error) {
  return error.code.category() == api_status_category() ? error.code.value() : 0;
}

std::string object_path(std::string_view group_version, std::string_view namespace_name,
                        std::string_view resource, std::string_view name) {
  std::string path(group_version);
  if (!namespace_name.empty())
    path += fmt::format("/namespaces/{}", percent_encode(namespace_name));
  path += fmt::format("/{}", resource);
  if (!name.empty()) path += fmt::format("/{}", percent_encode(name));
  return path;
}

Result<std::string> call_api(Api& api, const ApiRequest& request, const std::stop_token& stop) {
  const auto what =
      fmt::format("{} {}", request.method, request.target.substr(0, request.target.find('?')));
  for (unsigned tries = 1;; ++tries) {
    std::string body;
    const auto response = api.send(
        request,
        [&body](std::string_view piece) {
          body.append(piece);
          return true;
        },
        stop);
    if (!response) return Error{response.error().code, what + ": " + response.error().what};
    if (response->status / 100 == 2) {
      if (!is_json_object(body)) return make_error(what + ": the answer is no JSON object");
      return body;
    }
    const auto again = wait_after(*response, tries);
    if (!again || !wait(*again, stop)) return refusal(what, *response);
  }
}

}  // namespace topolb::kube
