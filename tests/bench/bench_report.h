// SPDX-License-Identifier: Apache-2.0
// What a benchmark program is told and what it prints: README.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace topolb::bench {

struct Options {
  bool json = false;
  bool quick = false;
  int rounds = 0;
};

/// Wrong arguments end the program: one line on stderr, exit 2. `rounds`, `quick_rounds`: defaults.
Options parse_options(int argc, char** argv, int rounds, int quick_rounds);

/// Names of rows and their samples, in the order in which the rows came up.
class Report {
 public:
  struct Row {
    std::string workload = {};
    std::string stat = {};
    std::string config = {};
    std::string unit = {};
    std::optional<int> services = {};
    std::optional<int> backends = {};
    std::optional<int> tiers = {};
    std::optional<int> flows = {};
    std::string heat = {};       // "": does not apply
    std::string case_name = {};  // "": there is one only
    bool operator==(const Row&) const = default;
  };

  explicit Report(std::string suite) : suite_(std::move(suite)) {}
  void add(const Row& row, double sample);
  /// To stdout. `run`: how it was run, `"rounds": 100, "operations": 500`.
  void print(bool json, const std::string& run) const;

 private:
  struct Samples {
    Row row;
    std::vector<double> values;
  };
  [[nodiscard]] std::string fields_of(const Row& row) const;

  std::string suite_;
  std::vector<Samples> rows_;
};

}  // namespace topolb::bench
