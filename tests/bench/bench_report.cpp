// SPDX-License-Identifier: Apache-2.0
#include "bench_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace topolb::bench {
namespace {

[[noreturn]] void refuse(std::string_view argument) {
  std::fputs(
      fmt::format("unknown argument {}; known: --json, --quick, --rounds N\n", argument).c_str(),
      stderr);
  std::exit(2);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

Options parse_options(int argc, char** argv, int rounds, int quick_rounds) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--json") {
      options.json = true;
    } else if (argument == "--quick") {
      options.quick = true;
    } else if (argument == "--rounds" && i + 1 < argc) {
      const std::string_view text = argv[++i];
      const auto parsed = std::from_chars(text.data(), text.data() + text.size(), options.rounds);
      if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() ||
          options.rounds < 1) {
        refuse(text);
      }
    } else {
      refuse(argument);
    }
  }
  if (options.rounds == 0) options.rounds = options.quick ? quick_rounds : rounds;
  return options;
}

void Report::add(const Row& row, double sample) {
  const auto found = std::find_if(rows_.begin(), rows_.end(),
                                  [&](const Samples& samples) { return samples.row == row; });
  if (found != rows_.end()) {
    found->values.push_back(sample);
  } else {
    rows_.push_back({row, {sample}});
  }
}

std::string Report::fields_of(const Row& row) const {
  std::string text = fmt::format(R"("suite": "{}", "workload": "{}", "stat": "{}", "config": "{}")",
                                 suite_, row.workload, row.stat, row.config);
  const auto add_number = [&](const char* name, std::optional<int> value) {
    if (value) text += fmt::format(R"(, "{}": {})", name, *value);
  };
  const auto add_text = [&](const char* name, const std::string& value) {
    if (!value.empty()) text += fmt::format(R"(, "{}": "{}")", name, value);
  };
  add_number("services", row.services);
  add_number("backends", row.backends);
  add_number("tiers", row.tiers);
  add_number("flows", row.flows);
  add_text("heat", row.heat);
  add_text("case", row.case_name);
  return text + fmt::format(R"(, "unit": "{}")", row.unit);
}

void Report::print(bool json, const std::string& run) const {
  if (json) {
    fmt::print("{{\"suite\": \"{}\", \"run\": {{{}}}}}\n", suite_, run);
    for (const auto& samples : rows_) {
      fmt::print("{{{}, \"samples\": [{:.1f}]}}\n", fields_of(samples.row),
                 fmt::join(samples.values, ", "));
    }
    return;
  }
  fmt::print("{}\n\n{:>9}{:>9}{:>9}\n", run, "median", "min", "max");
  for (const auto& samples : rows_) {
    const auto [least, most] = std::minmax_element(samples.values.begin(), samples.values.end());
    const auto& row = samples.row;
    fmt::print("{:>9.1f}{:>9.1f}{:>9.1f} {} {} {} {}{}{}{}{} {} {}\n", median(samples.values),
               *least, *most, row.unit, row.workload, row.stat, row.config,
               row.services ? fmt::format(" {} Services", *row.services) : "",
               row.backends ? fmt::format(" x {}", *row.backends) : "",
               row.tiers ? fmt::format(" {} tiers", *row.tiers) : "",
               row.flows ? fmt::format(" {} flows", *row.flows) : "", row.heat, row.case_name);
  }
}

}  // namespace topolb::bench
