// SPDX-License-Identifier: Apache-2.0
#include "kube/time_text.h"

#include <cstdio>
#include <ctime>
#include <string_view>

namespace topolb::kube {

std::optional<std::chrono::system_clock::time_point> parse_time(const std::string& text) {
  std::tm time{};
  const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &time);
  if (rest == nullptr) return std::nullopt;
  std::chrono::nanoseconds fraction{0};
  if (*rest == '.') {
    std::chrono::nanoseconds digit{100'000'000};
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, digit /= 10)
      fraction += digit * (*rest - '0');
  }
  int offset_s = 0;
  if (std::string_view(rest) != "Z") {
    char sign = 0;
    int hours = 0;
    int minutes = 0;
    int length = 0;
    if (std::sscanf(rest, "%c%2d:%2d%n", &sign, &hours, &minutes, &length) != 3 ||
        rest[length] != '\0' || (sign != '+' && sign != '-')) {
      return std::nullopt;
    }
    offset_s = (sign == '+' ? 1 : -1) * (hours * 3600 + minutes * 60);
  }
  return std::chrono::system_clock::from_time_t(timegm(&time) - offset_s) +
         std::chrono::duration_cast<std::chrono::system_clock::duration>(fraction);
}

}  // namespace topolb::kube
