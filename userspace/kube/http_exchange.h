// SPDX-License-Identifier: Apache-2.0
// One request in flight, between the HTTP library's threads (which fill it) and the one that
// called Transport::send (which waits, with deadlines, and hands the body to the sink).
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "kube/gzip.h"
#include "kube/transport.h"

namespace topolb::kube {

class HttpExchange {
 public:
  /// The library's side: call from any thread, in the order of the names below.
  struct Head {
    int status = 0;
    std::string content_encoding;
    std::string retry_after;
  };
  void request_sent();
  void received_head(Head head);
  /// False: the caller has left, stop reading. Otherwise call `resume` once before the next
  /// piece, unless null: the buffer is full, and `resume` is called when there is room.
  bool received_body(std::string_view bytes, std::function<void()> resume);
  /// The body's end, or what broke the request at any stage.
  void finished(std::optional<Error> error);

  /// The caller's side, once: see Transport::send.
  Result<HttpResponse> wait(const HttpRequest& request, const BodySink& sink,
                            const std::stop_token& stop);

 private:
  void begin(HttpResponse& response);
  Result<bool> consume(HttpResponse& response, std::string bytes, const BodySink& sink);
  Result<HttpResponse> complete(HttpResponse response, const HttpRequest& request);
  Error broken(const HttpRequest& request) const;
  [[nodiscard]] std::chrono::milliseconds limit(const Deadlines& deadlines) const;
  void leave();

  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool sent_ = false;
  bool progressed_ = false;
  bool finished_ = false;
  bool left_ = false;
  std::optional<Head> head_;
  std::optional<Error> error_;
  std::string pending_;
  std::function<void()> resume_;
  std::optional<Gunzip> gunzip_;  // the caller's thread only
};

}  // namespace topolb::kube
