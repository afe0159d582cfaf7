// SPDX-License-Identifier: Apache-2.0
#include "kube/http_exchange.h"

#include <fmt/format.h>

#include <charconv>

namespace topolb::kube {
namespace {

constexpr std::size_t kMaxPending = 4UL << 20;
constexpr std::size_t kMaxErrorBody = 64UL << 10;

/// Seconds only: API servers send no HTTP dates here, and a date would need the wall clock.
std::optional<std::chrono::seconds> parse_retry_after(const std::string& text) {
  unsigned seconds = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return std::chrono::seconds(seconds);
}

}  // namespace

void HttpExchange::request_sent() {
  const std::lock_guard lock(mutex_);
  sent_ = progressed_ = true;
  changed_.notify_all();
}

void HttpExchange::received_head(Head head) {
  const std::lock_guard lock(mutex_);
  head_ = std::move(head);
  sent_ = progressed_ = true;
  changed_.notify_all();
}

bool HttpExchange::received_body(std::string_view bytes, std::function<void()> resume) {
  {
    const std::lock_guard lock(mutex_);
    if (left_) return false;
    pending_.append(bytes);
    progressed_ = true;
    changed_.notify_all();
    if (pending_.size() >= kMaxPending) {
      resume_ = std::move(resume);
      return true;
    }
  }
  resume();
  return true;
}

void HttpExchange::finished(std::optional<Error> error) {
  const std::lock_guard lock(mutex_);
  finished_ = progressed_ = true;
  error_ = std::move(error);
  changed_.notify_all();
}

std::chrono::milliseconds HttpExchange::limit(const Deadlines& deadlines) const {
  if (head_) return deadlines.idle;
  return sent_ ? deadlines.response : deadlines.connect;
}

void HttpExchange::leave() {
  std::function<void()> resume;
  {
    const std::lock_guard lock(mutex_);
    left_ = true;
    resume = std::exchange(resume_, nullptr);
  }
  if (resume) resume();
}

Error HttpExchange::broken(const HttpRequest& request) const {
  const char* stage = "read from";
  if (!head_) stage = sent_ ? "wait for an answer of" : "connect to";
  std::string what = fmt::format("{} {}", stage, request.server);
  if (!error_->what.empty()) what += ": " + error_->what;
  return {error_->code, std::move(what)};
}

void HttpExchange::begin(HttpResponse& response) {
  response.status = head_->status;
  response.retry_after = parse_retry_after(head_->retry_after);
  if (head_->content_encoding == "gzip") gunzip_.emplace();
}

Result<bool> HttpExchange::consume(HttpResponse& response, std::string bytes,
                                   const BodySink& sink) {
  if (gunzip_) {
    auto plain = gunzip_->feed(bytes);
    if (!plain) return plain.error();
    bytes = std::move(*plain);
  }
  if (response.status / 100 == 2) return bytes.empty() || sink(bytes);
  response.error_body.append(bytes, 0, kMaxErrorBody - response.error_body.size());
  return response.error_body.size() < kMaxErrorBody;
}

Result<HttpResponse> HttpExchange::complete(HttpResponse response, const HttpRequest& request) {
  if (gunzip_ && !gunzip_->finished()) {
    return Error{{}, fmt::format("read from {}: compressed body cut short", request.server)};
  }
  return response;
}

Result<HttpResponse> HttpExchange::wait(const HttpRequest& request, const BodySink& sink,
                                        const std::stop_token& stop) {
  // Whoever returns from here must make later pieces of the body bounce.
  struct Leaver {
    HttpExchange& exchange;
    ~Leaver() { exchange.leave(); }
  } const leaver{*this};

  HttpResponse response;
  std::unique_lock lock(mutex_);
  while (true) {
    const bool progressed = changed_.wait_for(lock, stop, limit(request.deadlines),
                                              [this] { return std::exchange(progressed_, false); });
    if (stop.stop_requested()) {
      return Error{std::make_error_code(std::errc::operation_canceled), request.server};
    }
    if (!progressed) {
      error_ = Error{std::make_error_code(std::errc::timed_out), {}};
      return broken(request);
    }
    if (head_ && response.status == 0) begin(response);
    if (head_ && !pending_.empty()) {
      std::string bytes = std::exchange(pending_, {});
      const auto resume = std::exchange(resume_, nullptr);
      lock.unlock();
      if (resume) resume();
      const auto more = consume(response, std::move(bytes), sink);
      if (!more)
        return Error{more.error().code, "read from " + request.server + ": " + more.error().what};
      response.stopped_by_sink = !*more;
      if (!*more) return response;
      lock.lock();
      progressed_ = progressed_ || finished_;  // the end may have come with these bytes
      continue;
    }
    if (finished_ && error_) return broken(request);
    if (finished_ && head_) return complete(std::move(response), request);
  }
}

}  // namespace topolb::kube
