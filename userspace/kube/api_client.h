// SPDX-License-Identifier: Apache-2.0
// The API over a transport: credentials, proxy, and which of several servers to talk to.
#pragma once

#include <atomic>
#include <memory>

#include "kube/api.h"
#include "kube/cluster_config.h"
#include "kube/credentials.h"

namespace topolb::kube {

class ApiClient final : public Api {
 public:
  /// @pre config.servers is not empty.
  ApiClient(ClusterConfig config, std::shared_ptr<Transport> transport,
            Environment environment = process_environment(),
            Credentials::World world = Credentials::real_world());

  /// A server that cannot be reached hands the request on to the next one, at once and once
  /// around; one that breaks off, stalls or answers 5xx is not the first to be asked next time.
  /// Errors: as Transport::send; with several servers the last one's.
  Result<HttpResponse> send(const ApiRequest& request, const BodySink& sink,
                            std::stop_token stop) override;

 private:
  void give_up_on(std::size_t server);

  ClusterConfig config_;
  std::shared_ptr<Transport> transport_;
  std::vector<std::string> proxies_;  // one for each server
  Credentials credentials_;
  std::atomic<std::size_t> preferred_ = 0;
};

}  // namespace topolb::kube
