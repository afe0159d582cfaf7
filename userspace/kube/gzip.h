// SPDX-License-Identifier: Apache-2.0
// Streaming gunzip.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "util/result.h"

struct z_stream_s;

namespace topolb::kube {

/// Not thread-safe: one owner.
class Gunzip {
 public:
  Gunzip();

  /// What `compressed` yields, as far as it goes; may be empty. Error: not gzip, or damaged.
  Result<std::string> feed(std::string_view compressed);
  /// The stream's own end was seen: without it, the body was cut.
  [[nodiscard]] bool finished() const { return finished_; }

 private:
  struct Deleter {
    void operator()(z_stream_s* stream) const;
  };
  std::unique_ptr<z_stream_s, Deleter> stream_;
  bool finished_ = false;
};

}  // namespace topolb::kube
