// SPDX-License-Identifier: Apache-2.0
// An API whose answers are a script: each request takes the next one.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "kube/api.h"

namespace topolb::kube {

struct Answer {
  int status = 200;
  std::vector<std::string> pieces;   // of the body
  std::optional<Error> broken = {};  // after the pieces
  std::optional<std::chrono::seconds> retry_after = {};
};

class ScriptedApi final : public Api {
 public:
  std::deque<Answer> answers;
  std::vector<ApiRequest> requests;
  std::function<void()> on_piece = [] {};  // after each that was taken

  Result<HttpResponse> send(const ApiRequest& request, const BodySink& sink,
                            std::stop_token) override {
    requests.push_back(request);
    if (answers.empty()) return Error{std::make_error_code(std::errc::io_error), "script's end"};
    const Answer answer = answers.front();
    answers.pop_front();
    HttpResponse response{.status = answer.status, .retry_after = answer.retry_after};
    for (const std::string& piece : answer.pieces) {
      if (answer.status / 100 != 2) {
        response.error_body += piece;
      } else if (!sink(piece)) {
        response.stopped_by_sink = true;
        return response;
      } else {
        on_piece();
      }
    }
    if (answer.broken) return *answer.broken;
    return response;
  }
};

inline Error connection_lost() {
  return {std::make_error_code(std::errc::io_error), "connection lost"};
}

}  // namespace topolb::kube
