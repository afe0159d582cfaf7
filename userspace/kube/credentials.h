// SPDX-License-Identifier: Apache-2.0
// Credentials as they are now: files read anew, exec plugins run when what they gave has expired.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "kube/cluster_config.h"
#include "kube/exec_credential.h"
#include "kube/run_program.h"
#include "kube/transport.h"

namespace topolb::kube {

struct Credential {
  TlsSettings tls;
  std::string token;  // for "Authorization: Bearer"; may be empty
};

class Credentials {
 public:
  /// Where the world comes in; the defaults are the real one.
  struct World {
    std::function<Result<std::string>(const std::string& file, const std::string& name)> read_file;
    std::function<Result<std::string>(const Program&, const std::stop_token&)> run;
    std::function<std::chrono::system_clock::time_point()> now;
  };
  static World real_world();

  explicit Credentials(ClusterConfig config, World world = real_world());

  /// Thread-safe; whoever comes while a plugin runs waits for it.
  Result<Credential> current(const std::stop_token& stop);
  /// The server answered 401: what a plugin said is not used again.
  void rejected();

 private:
  Result<std::string> read(const Material& material, const std::string& name) const;
  Result<void> run_plugin(const std::string& ca_pem, const std::stop_token& stop);

  ClusterConfig config_;
  World world_;
  std::mutex mutex_;
  std::optional<ExecCredential> from_plugin_;
};

}  // namespace topolb::kube
