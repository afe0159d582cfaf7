// SPDX-License-Identifier: Apache-2.0
// List + watch of one kind: follows the objects of an API server and says what changed.
// A list is taken as a whole or not at all; a broken watch goes on from the last version seen;
// what is unknown stays as it was. Source: Kubernetes API concepts, "Efficient detection of
// changes"; KEP-3157 (streaming lists), KEP-365 (paging), KEP-956 (bookmarks).
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "kube/api.h"
#include "kube/backoff.h"
#include "kube/decoder.h"
#include "kube/known_objects.h"
#include "kube/resource.h"
#include "kube/watch_event.h"

namespace topolb::kube {

struct ReflectorOptions {
  Kind kind = Kind::Service;
  Form form = Form::Whole;
  std::string label_selector;
  std::optional<std::string> field_selector = "";  // none: follow nothing
  unsigned page_limit = 500;
  std::chrono::seconds watch_timeout{300};  // asked of the server: up to twice as long, by chance
  Deadlines list_deadlines{};
  /// Servers send a bookmark a minute: a watch that is silent for longer is dead.
  Deadlines watch_deadlines{.idle = std::chrono::seconds(100)};
};

struct ReflectorStatus {
  bool synced = false;  // listed completely under the selectors of now
  std::optional<std::chrono::steady_clock::time_point> last_contact;
  std::string error;  // of the last try; empty: it went well
};

class Reflector {
 public:
  /// Where the world comes in. `on_changes` is called on the thread that runs the reflector.
  struct Environment {
    Api& api;
    std::function<std::chrono::steady_clock::time_point()> now;
    std::function<double()> random;  // 0 <= x < 1
    std::function<void(std::vector<Change>)> on_changes;
  };

  Reflector(ReflectorOptions options, Environment environment);

  /// Steps, with the waits in between, until `stop`, which ends it at once.
  void run(const std::stop_token& stop);

  /// One list, or one watch until it ends. Returns how long to wait before the next step.
  std::chrono::milliseconds step(const std::stop_token& stop);

  /// Follows the objects of another selector from now on, none: of nothing: a list whose
  /// differences to the objects known under the old one are the changes. Thread-safe.
  void set_field_selector(const std::optional<std::string>& selector);

  /// Thread-safe.
  [[nodiscard]] ReflectorStatus status() const;

 private:
  /// How a request ended, if not as it should.
  struct Failure {
    std::string what{};
    bool answered = false;  // by the server, which may be overloaded: longer waits
    std::optional<std::chrono::seconds> retry_after{};
    bool canceled = false;
    bool timed_out = false;
  };
  using Outcome = std::optional<Failure>;

  std::chrono::milliseconds follow_nothing();
  [[nodiscard]] const Resource& resource() const;
  Outcome synchronize(const std::stop_token& stop);
  Outcome ask_version(const std::stop_token& stop);
  Outcome list(const std::stop_token& stop);
  Outcome list_page(const std::string& continue_token, DecodedDocument& ret_page,
                    const std::stop_token& stop);
  Outcome stream_list(const std::stop_token& stop);
  void begin_list();
  void take_listed(DecodedDocument document);
  Outcome check_version(const std::string& version);
  void accept_list(const std::string& version);
  Outcome watch(const std::stop_token& stop);
  Outcome apply(WatchEvent event);
  // Tells changes as soon as there are so many, and the rest before it returns, however it ends.
  Outcome stream(const std::string& target, const Deadlines& deadlines,
                 const std::function<Outcome(WatchEvent)>& on_event, std::size_t told_together,
                 HttpResponse& ret_response, const std::stop_token& stop);
  Result<HttpResponse> get(ApiRequest request, std::string& ret_body, const std::stop_token& stop);

  [[nodiscard]] std::string target(const std::vector<std::pair<std::string, std::string>>& query);
  [[nodiscard]] std::string watch_seconds() const;
  [[nodiscard]] Failure http_failure(const HttpResponse& response) const;
  static Failure transport_failure(const Error& error);
  std::chrono::milliseconds conclude(const Outcome& outcome);
  std::stop_source begin_step();
  void contact();
  void tell_changes();

  ReflectorOptions options_;
  Environment environment_;
  Decoder decoder_;
  KnownObjects known_;
  std::vector<Change> changes_;          // not told yet
  std::vector<DecodedObject> listed_;    // changes by a list that is not accepted yet
  std::vector<core::Problem> nameless_;  // of that list
  Backoff unreachable_backoff_;
  Backoff answered_backoff_;
  std::string resource_version_;  // empty: a list is needed
  std::string newest_version_;    // of all that was ever seen
  std::optional<bool> streams_lists_;
  bool paged_ = true;
  bool progress_ = false;  // in this step: reasons to trust the server again
  unsigned stale_lists_ = 0;
  unsigned useless_watches_ = 0;
  unsigned endless_streams_ = 0;

  mutable std::mutex mutex_;  // what follows
  std::condition_variable_any changed_;
  ReflectorStatus status_;
  std::optional<std::optional<std::string>> next_selector_;
  std::stop_source interrupt_;
};

}  // namespace topolb::kube
