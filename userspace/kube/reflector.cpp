// SPDX-License-Identifier: Apache-2.0
#include "kube/reflector.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace topolb::kube {
namespace {

constexpr std::chrono::milliseconds kUnreachableCap{5000};
constexpr std::chrono::milliseconds kAnsweredCap{30000};
constexpr std::chrono::milliseconds kOverloadedWait{1000};
constexpr std::chrono::seconds kShortWatch{1};
constexpr std::chrono::hours kUntilAsked{24};
constexpr unsigned kStaleLists = 3;
constexpr unsigned kUselessWatches = 3;
constexpr unsigned kEndlessStreams = 2;
constexpr int kGone = 410;
// Changes that are told together: each telling may wake the one who takes them.
constexpr std::size_t kOfAList = 64;
constexpr std::size_t kOfAWatch = 1;

bool is_overload(int status) { return status == 429 || status == 503; }

/// Says something about the server or our rights, nothing about what was asked.
bool is_passing(int status) {
  return status == 401 || status == 403 || status == 429 || status >= 500;
}

}  // namespace

Reflector::Reflector(ReflectorOptions options, Environment environment)
    : options_(std::move(options)), environment_(std::move(environment)), known_(options_.kind) {}

void Reflector::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const auto wait = step(stop);
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, wait, [this] { return next_selector_.has_value(); });
  }
}

void Reflector::set_field_selector(const std::optional<std::string>& selector) {
  const std::lock_guard lock(mutex_);
  if (selector == next_selector_.value_or(options_.field_selector)) return;
  next_selector_ = selector;
  status_.synced = false;
  interrupt_.request_stop();
  changed_.notify_all();
}

ReflectorStatus Reflector::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

std::stop_source Reflector::begin_step() {
  const std::lock_guard lock(mutex_);
  interrupt_ = std::stop_source();
  if (next_selector_) {
    options_.field_selector = *std::exchange(next_selector_, std::nullopt);
    resource_version_.clear();
  }
  return interrupt_;
}

std::chrono::milliseconds Reflector::step(const std::stop_token& stop) {
  std::stop_source interrupt = begin_step();
  const std::stop_callback forward(stop, [&interrupt] { interrupt.request_stop(); });
  progress_ = false;
  if (!options_.field_selector) return follow_nothing();
  return conclude(resource_version_.empty() ? synchronize(interrupt.get_token())
                                            : watch(interrupt.get_token()));
}

/// As a complete list without objects.
std::chrono::milliseconds Reflector::follow_nothing() {
  begin_list();
  accept_list("");
  conclude(std::nullopt);
  return kUntilAsked;
}

const Resource& Reflector::resource() const { return resource_of(options_.kind, options_.form); }

std::chrono::milliseconds Reflector::conclude(const Outcome& outcome) {
  if (progress_) {
    unreachable_backoff_.reset();
    answered_backoff_.reset();
  }
  if (outcome && outcome->canceled) return {};
  {
    const std::lock_guard lock(mutex_);
    status_.error = outcome ? outcome->what : "";
  }
  if (!outcome) return {};
  // Each kind of failure on its own: a server that is back after a long absence, and says 410 or
  // that it is not ready yet, is asked again soon.
  const auto wait = outcome->answered
                        ? answered_backoff_.next(kAnsweredCap, environment_.random())
                        : unreachable_backoff_.next(kUnreachableCap, environment_.random());
  return std::max<std::chrono::milliseconds>(
      wait, outcome->retry_after.value_or(std::chrono::seconds(0)));
}

void Reflector::contact() {
  const std::lock_guard lock(mutex_);
  status_.last_contact = environment_.now();
  status_.error.clear();  // a watch that works now lasts for minutes
}

Reflector::Failure Reflector::transport_failure(const Error& error) {
  Failure failure{.what = error.message()};
  failure.canceled = error.code == std::errc::operation_canceled;
  failure.timed_out = error.code == std::errc::timed_out;
  return failure;
}

Reflector::Failure Reflector::http_failure(const HttpResponse& response) const {
  const auto status = parse_status(response.error_body);
  Failure failure{
      .what = fmt::format("{}: the API server answered {}", resource().path, response.status),
      .answered = true,
      .retry_after = response.retry_after};
  if (status && !status->message.empty()) failure.what += ": " + status->message;
  if (!failure.retry_after && status) failure.retry_after = status->retry_after;
  if (!failure.retry_after && is_overload(response.status)) {
    failure.retry_after = std::chrono::duration_cast<std::chrono::seconds>(kOverloadedWait);
  }
  return failure;
}

std::string Reflector::target(const std::vector<std::pair<std::string, std::string>>& query) {
  auto all = query;
  all.emplace_back("labelSelector", options_.label_selector);
  all.emplace_back("fieldSelector", options_.field_selector.value_or(""));
  return make_target(resource().path, all);
}

std::string Reflector::watch_seconds() const {
  const double seconds =
      static_cast<double>(options_.watch_timeout.count()) * (1 + environment_.random());
  return std::to_string(static_cast<std::int64_t>(seconds));
}

// ---- lists ----

Reflector::Outcome Reflector::synchronize(const std::stop_token& stop) {
  if (!streams_lists_) {
    if (auto failure = ask_version(stop)) return failure;
  }
  return *streams_lists_ ? stream_list(stop) : list(stop);
}

Result<HttpResponse> Reflector::get(ApiRequest request, std::string& ret_body,
                                    const std::stop_token& stop) {
  request.deadlines = options_.list_deadlines;
  const auto collect = [&ret_body](std::string_view piece) {
    ret_body.append(piece);
    return true;
  };
  return environment_.api.send(request, collect, stop);
}

Reflector::Outcome Reflector::ask_version(const std::stop_token& stop) {
  std::string body;
  ApiRequest request;
  request.target = "/version";
  const auto response = get(std::move(request), body, stop);
  if (!response) return transport_failure(response.error());
  if (is_passing(response->status) && response->status != 403) return http_failure(*response);
  streams_lists_ = response->status == 200 && kube::streams_lists(body);
  return std::nullopt;
}

Reflector::Outcome Reflector::list_page(const std::string& continue_token,
                                        DecodedDocument& ret_page, const std::stop_token& stop) {
  const Resource& resource = this->resource();
  std::string body;
  ApiRequest request;
  request.target = target(
      {{"limit", paged_ ? std::to_string(options_.page_limit) : ""}, {"continue", continue_token}});
  request.accept = prefer_protobuf(resource.accept_list);
  const auto response = get(std::move(request), body, stop);
  if (!response) return transport_failure(response.error());
  // The token is older than what the server keeps: no page of this list will come any more.
  if (response->status == kGone && !continue_token.empty()) paged_ = false;
  if (response->status != 200) return http_failure(*response);
  auto page = decoder_.list(body, resource.lists, options_.kind);
  if (!page) return Failure{.what = resource.path + ": " + page.error().what, .answered = true};
  contact();
  ret_page = std::move(*page);
  return std::nullopt;
}

Reflector::Outcome Reflector::list(const std::stop_token& stop) {
  std::string version;
  std::string continue_token;
  begin_list();
  do {
    DecodedDocument page;
    if (auto failure = list_page(continue_token, page, stop)) return failure;
    if (version.empty()) {
      // All pages are of the first one's version; going on from there can only repeat something.
      version = page.list_resource_version;
      if (auto failure = check_version(version)) return failure;
    }
    continue_token = page.list_continue;
    take_listed(std::move(page));
    tell_changes();
  } while (!continue_token.empty());
  paged_ = true;
  accept_list(version);
  return std::nullopt;
}

void Reflector::begin_list() {
  known_.begin_list();
  listed_.clear();
  nameless_.clear();
}

// What the very first list has is told as it comes, in parts: there is nothing that it could
// contradict, and who takes the changes knows from Synced that it was complete. Later ones are told
// as a whole or not at all; only what has changed is kept until then.
void Reflector::take_listed(DecodedDocument document) {
  for (DecodedObject& object : document.objects) {
    if (!known_.is_change(object)) continue;
    if (newest_version_.empty()) {
      changes_.push_back(known_.put_listed(std::move(object)));
    } else {
      listed_.push_back(std::move(object));
    }
  }
  std::ranges::move(document.problems, std::back_inserter(nameless_));
}

// A server that lags behind the one asked before. One that stays behind was restored from a backup:
// then that is the truth now.
Reflector::Outcome Reflector::check_version(const std::string& version) {
  if (is_older(version, newest_version_) && ++stale_lists_ < kStaleLists) {
    return Failure{.what = fmt::format("{}: the list is of version {}, older than {} seen before",
                                       resource().path, version, newest_version_),
                   .answered = true};
  }
  return std::nullopt;
}

void Reflector::accept_list(const std::string& version) {
  stale_lists_ = 0;
  useless_watches_ = 0;
  endless_streams_ = 0;
  resource_version_ = newest_version_ = version;
  changes_.emplace_back(Keep{{options_.kind, {}}, std::move(nameless_)});
  for (DecodedObject& object : listed_) changes_.push_back(known_.put_listed(std::move(object)));
  std::ranges::move(known_.end_list(), std::back_inserter(changes_));
  changes_.emplace_back(Synced{{options_.kind, options_.form}, options_.field_selector});
  listed_ = {};
  tell_changes();
  const std::lock_guard lock(mutex_);
  status_.synced = !next_selector_;
}

void Reflector::tell_changes() {
  if (!changes_.empty()) environment_.on_changes(std::exchange(changes_, {}));
}

Reflector::Outcome Reflector::stream_list(const std::stop_token& stop) {
  std::string version;
  begin_list();
  const auto on_event = [&](WatchEvent event) -> Outcome {
    if (event.type == WatchEvent::Type::Put) {
      take_listed(std::move(event.document));
    } else if (event.type == WatchEvent::Type::Delete) {
      return Failure{.what = "a deletion in the midst of a streamed list", .answered = true};
    } else if (event.initial_events_end) {
      version = event.resource_version;
      return Failure{.canceled = true};  // the list is complete: the watch is another request
    }
    return std::nullopt;
  };
  HttpResponse response;
  auto failure = stream(target({{"watch", "1"},
                                {"sendInitialEvents", "true"},
                                {"resourceVersionMatch", "NotOlderThan"},
                                {"allowWatchBookmarks", "true"},
                                {"timeoutSeconds", watch_seconds()}}),
                        options_.list_deadlines, on_event, kOfAList, response, stop);
  if (!version.empty()) {
    if (auto stale = check_version(version)) return stale;
    accept_list(version);
    return std::nullopt;
  }
  if (failure && failure->canceled) return failure;
  if (response.status == 0) {
    // A server that knows nothing of streamed lists may leave us waiting for the end. One that is
    // away says nothing about that.
    if (failure->timed_out && ++endless_streams_ >= kEndlessStreams) streams_lists_ = false;
    return failure;
  }
  if (is_passing(response.status)) return http_failure(response);
  streams_lists_ = false;
  return list(stop);
}

// ---- watches ----

Reflector::Outcome Reflector::stream(const std::string& target, const Deadlines& deadlines,
                                     const std::function<Outcome(WatchEvent)>& on_event,
                                     std::size_t told_together, HttpResponse& ret_response,
                                     const std::stop_token& stop) {
  EventSplitter events;
  Outcome ended;
  const auto on_bytes = [&](std::string_view bytes) {
    auto event = decoder_.event(bytes, options_.kind);
    ended =
        event ? on_event(std::move(*event)) : Failure{.what = event.error().what, .answered = true};
    return !ended;
  };
  const auto on_piece = [&](std::string_view piece) {
    contact();
    const auto more = events.feed(piece, on_bytes);
    if (changes_.size() >= told_together) tell_changes();
    if (!more) ended = Failure{.what = more.error().what, .answered = true};
    return more && *more;
  };
  ApiRequest request;
  request.target = target;
  request.accept = prefer_protobuf(resource().accept_watch);
  request.deadlines = deadlines;
  auto response = environment_.api.send(request, on_piece, stop);
  tell_changes();
  if (ended) {
    ret_response.status = 200;
    return ended;
  }
  if (!response) return transport_failure(response.error());
  ret_response = std::move(*response);
  if (ret_response.status == 200 && events.has_partial_event()) {
    return Failure{.what = "watch ended within an event", .answered = true};
  }
  return std::nullopt;
}

Reflector::Outcome Reflector::apply(WatchEvent event) {
  if (event.type == WatchEvent::Type::Bookmark) {
    known_.bookmark(event.resource_version);
    if (!is_older(event.resource_version, resource_version_)) {
      resource_version_ = event.resource_version;
    }
    progress_ = true;
    return std::nullopt;
  }
  if (event.type == WatchEvent::Type::Error) {
    if (event.status.code == kGone) resource_version_.clear();
    return Failure{.what = fmt::format("watch {}: the API server sent error {}: {}",
                                       resource().path, event.status.code, event.status.message),
                   .answered = true,
                   .retry_after = event.status.retry_after};
  }
  if (!event.document.problems.empty()) {
    changes_.emplace_back(Keep{{options_.kind, {}}, std::move(event.document.problems)});
  }
  for (DecodedObject& object : event.document.objects) {
    const std::string version = object.resource_version;
    auto change = event.type == WatchEvent::Type::Delete ? known_.remove(object.id, version)
                                                         : known_.put(std::move(object));
    if (change) changes_.push_back(std::move(*change));
    if (!version.empty() && !is_older(version, resource_version_)) resource_version_ = version;
  }
  progress_ = true;
  return std::nullopt;
}

Reflector::Outcome Reflector::watch(const std::stop_token& stop) {
  const auto started = environment_.now();
  HttpResponse response;
  auto failure = stream(
      target({{"watch", "1"},
              {"allowWatchBookmarks", "true"},
              {"resourceVersion", resource_version_},
              {"timeoutSeconds", watch_seconds()}}),
      options_.watch_deadlines, [this](WatchEvent event) { return apply(std::move(event)); },
      kOfAWatch, response, stop);
  if (is_older(newest_version_, resource_version_)) newest_version_ = resource_version_;
  if (!failure && response.status != 200) failure = http_failure(response);
  if (response.status == kGone) resource_version_.clear();
  if (environment_.now() - started >= kShortWatch) progress_ = progress_ || response.status == 200;
  if (progress_) useless_watches_ = 0;
  if (!failure && !progress_) failure = Failure{.what = "watch ended at once", .answered = true};
  // Stuck at one version: a line that will never parse, or a version that this server does not
  // know, which it may answer with silence (an etcd restored from a backup: no bookmark comes).
  const bool useless = failure && !progress_ &&
                       (failure->timed_out || (failure->answered && !is_passing(response.status)));
  if (useless && ++useless_watches_ >= kUselessWatches) resource_version_.clear();
  return failure;
}

}  // namespace topolb::kube
