// SPDX-License-Identifier: Apache-2.0
#include "kube/api_client.h"

namespace topolb::kube {
namespace {
constexpr const char* kUserAgent = "topolb";
}

ApiClient::ApiClient(ClusterConfig config, std::shared_ptr<Transport> transport,
                     Environment environment, Credentials::World world)
    : config_(std::move(config)),
      transport_(std::move(transport)),
      credentials_(config_, std::move(world)) {
  for (std::string& server : config_.servers) {
    while (server.ends_with('/')) server.pop_back();
    proxies_.push_back(choose_proxy(config_, server, environment));
  }
}

void ApiClient::give_up_on(std::size_t server) {
  // Only whoever finds it still preferred: another request may have moved on already.
  preferred_.compare_exchange_strong(server, (server + 1) % config_.servers.size());
}

Result<HttpResponse> ApiClient::send(const ApiRequest& request, const BodySink& sink,
                                     std::stop_token stop) {
  auto credential = credentials_.current(stop);
  if (!credential) return credential.error();
  HttpRequest http{.method = request.method,
                   .target = request.target,
                   .headers = {{"Accept", request.accept}, {"User-Agent", kUserAgent}},
                   .body = request.body,
                   .tls = std::move(credential->tls),
                   .deadlines = request.deadlines};
  if (!request.content_type.empty())
    http.headers.emplace_back("Content-Type", request.content_type);
  if (!credential->token.empty()) {
    http.headers.emplace_back("Authorization", "Bearer " + credential->token);
  }
  bool answered = false;
  const BodySink noting = [&answered, &sink](std::string_view piece) {
    answered = true;
    return sink(piece);
  };
  for (std::size_t attempt = 1;; ++attempt) {
    const std::size_t server = preferred_;
    http.server = config_.servers[server];
    http.proxy = proxies_[server];
    auto response = transport_->send(http, noting, stop);
    const bool canceled = !response && response.error().code == std::errc::operation_canceled;
    if (canceled || (response && response->status < 500)) {
      if (response && response->status == 401) credentials_.rejected();
      return response;
    }
    give_up_on(server);
    // What the sink has got cannot be taken back, and what was written may have been done.
    const bool repeatable = !answered && request.method == "GET";
    if (response || !repeatable || attempt >= config_.servers.size()) return response;
  }
}

}  // namespace topolb::kube
